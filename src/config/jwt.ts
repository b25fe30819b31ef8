import { isKeyUrl, keyUrlRule } from '../kernel/key-url.ts';
import { claimFields } from './jwt-fields.ts';
import { discoveryOf, type IssuerEntry, type JwtContext, readIssuers, sourceAt } from './jwt-issuers.ts';
import { readLitellmJwt, readRolePermissions } from './jwt-litellm.ts';
import type { ClaimFields, IssuerSettings, JwtSettings, KeySource } from './jwt-settings.ts';
import type { ConfigWarning } from './litellm.ts';
import { type Problems, showPlace } from './problems.ts';
import type { SettingValues } from './settings.ts';
import type { Tree } from './yaml.ts';

/** What the file says of JWTs. */
export type JwtFile = ReturnType<typeof readJwt>;

export const jwtPaths = [
  'general_settings.litellm_jwtauth',
  'general_settings.role_permissions',
  'gatewayctl.jwt.issuers',
] as const;

/** Reads the parts of the file that are about JWTs. What is wrong is reported with its place. */
export function readJwt(trees: ReadonlyMap<string, Tree>, context: JwtContext) {
  const [jwtauth, permissions, issuers] = jwtPaths.map((path) => trees.get(path));
  const theirs = jwtauth?.kind === 'map' ? jwtauth.entries.get('issuers')?.value : undefined;
  return {
    ...readLitellmJwt(jwtauth, context),
    claims: claimFields(jwtauth, context),
    issuers: [...readIssuers(issuers, 'own', context), ...readIssuers(theirs, 'litellm', context)],
    rolePermissions: readRolePermissions(permissions, context),
    /** Where the file speaks of JWTs: for warnings. */
    places: [jwtauth?.at, issuers?.at].filter((at) => at !== undefined),
  };
}

/** What is in the file and does nothing, to be told at start. */
export function jwtWarnings(file: JwtFile | undefined, jwt: JwtSettings | undefined): ConfigWarning[] {
  const [at] = file?.places ?? [];
  if (!file || !at) return [];
  const where = showPlace(at);
  if (!jwt) return [{ where, key: 'JWT settings', message: 'have no effect: general_settings.enable_jwt_auth is off' }];
  const grantsAdmin =
    file.values.admin_jwt_scope !== undefined ||
    jwt.roleMappings.some(({ internalRole }) => internalRole === 'proxy_admin') ||
    jwt.roleMap.some(({ role }) => role === 'proxy_admin');
  if (!grantsAdmin || jwt.issuers.some(({ mayGrantAdmin }) => mayGrantAdmin)) return [];
  const message = 'make nobody an administrator: no issuer of gatewayctl.jwt.issuers has may_grant_admin: true';
  return [{ where, key: 'scopes and roles of administrators', message }];
}

type JwtValues = Pick<SettingValues, 'jwtEnabled' | 'jwtIssuer' | 'jwtAudience' | 'jwtPublicKeyUrl'>;

/**
 * Everything together, once the environment has been read; undefined while JWTs are off. An issuer is known with its
 * audience or not at all: PyJWT checks neither unless it is told to, and any application of the same identity provider
 * was let in.
 */
export function resolveJwt(file: JwtFile | undefined, values: JwtValues, problems: Problems): JwtSettings | undefined {
  if (!values.jwtEnabled) return undefined;
  const entries = [...(file?.issuers ?? []), ...environmentIssuers(values, problems)];
  if (entries.length === 0 && problems.isEmpty) {
    problems.add(
      'JWT authentication',
      'is on, but no issuer is known; give gatewayctl.jwt.issuers, or JWT_ISSUER, JWT_AUDIENCE and JWT_PUBLIC_KEY_URL',
    );
  }
  refuseTwins(entries, problems);
  return problems.isEmpty ? settingsOf(file, entries) : undefined;
}

function refuseTwins(entries: readonly IssuerEntry[], problems: Problems): void {
  const seen = new Map<string, IssuerEntry>();
  for (const entry of entries) {
    const before = seen.get(entry.issuer);
    if (before) problems.add(entry.at, `the issuer is already given at ${shownPlace(before)}`);
    else seen.set(entry.issuer, entry);
  }
}

const shownPlace = ({ at }: IssuerEntry): string => (typeof at === 'string' ? at : showPlace(at));

/** LiteLLM's variables: one issuer with all the key URLs, or as many issuers as URLs, each with its own. */
function environmentIssuers(values: JwtValues, problems: Problems): IssuerEntry[] {
  const { jwtIssuer: issuers = [], jwtAudience: audiences = [], jwtPublicKeyUrl: urls = [] } = values;
  if (issuers.length + audiences.length + urls.length === 0) return [];
  const at = 'JWT_ISSUER';
  if (issuers.length === 0) problems.add(at, 'is missing: a token of anybody with a key there would do');
  if (audiences.length === 0) {
    problems.add('JWT_AUDIENCE', 'is missing: a token for any application of the issuer would do');
  }
  for (const url of urls) if (!isKeyUrl(url)) problems.add('JWT_PUBLIC_KEY_URL', `must ${keyUrlRule}`);
  if (issuers.length > 1 && urls.length > 0 && urls.length !== issuers.length) {
    problems.add('JWT_PUBLIC_KEY_URL', 'must have one URL for each issuer of JWT_ISSUER, in the same order');
  }
  return issuers.map((issuer, index) => {
    const own = issuers.length === 1 ? urls : urls.slice(index, index + 1);
    const keySources = own.length > 0 ? own.map(sourceAt) : discovered(issuer, problems);
    return { at, issuer, audiences, keySources, claims: {} };
  });
}

function discovered(issuer: string, problems: Problems): KeySource[] {
  const source = discoveryOf(issuer);
  if (source) return [source];
  problems.add('JWT_PUBLIC_KEY_URL', 'is missing: JWT_ISSUER is no https:// URL below which keys can be discovered');
  return [];
}

const second = 1_000;
const day = 86_400 * second;

function issuerSettings(entry: IssuerEntry, common: ClaimFields, { values = {} }: Partial<JwtFile>): IssuerSettings {
  const { issuer, audiences, keySources, sharedSecret, claims } = entry;
  const keyTtlMs = values.public_key_ttl ?? 600 * second;
  return {
    issuer,
    audiences,
    keySources,
    sharedSecret,
    algorithms: entry.algorithms ?? ['RS256', 'PS256', 'ES256', 'EdDSA'],
    mayGrantAdmin: entry.mayGrantAdmin ?? false,
    tokenTypes: entry.tokenTypes ?? ['at+jwt', 'jwt'],
    maxLifetimeMs: entry.maxLifetimeMs ?? day,
    clockToleranceMs: entry.clockToleranceMs ?? 60 * second,
    keyTtlMs,
    keyStaleTtlMs: values.public_key_stale_ttl ?? day - keyTtlMs,
    claims: { ...common, ...claims },
  };
}

function settingsOf(file: Partial<JwtFile> = {}, entries: readonly IssuerEntry[]): JwtSettings {
  const { values = {}, claims = {}, roleMappings = [], scopeMappings = [], roleMap = [], rolePermissions = [] } = file;
  return {
    issuers: entries.map((entry) => issuerSettings(entry, claims, file)),
    admin: {
      scope: values.admin_jwt_scope ?? 'litellm_proxy_admin',
      allowedRoutes: values.admin_allowed_routes ?? [
        'management_routes',
        'spend_tracking_routes',
        'global_spend_tracking_routes',
        'info_routes',
      ],
    },
    teams: {
      defaultId: values.team_id_default,
      upsert: values.team_id_upsert ?? false,
      addsUsers: values.upsert_sso_user_to_team ?? false,
      allowedRoutes: values.team_allowed_routes ?? ['openai_routes', 'info_routes', 'mcp_routes'],
      enforcesModelAccess: values.enforce_team_based_model_access ?? false,
    },
    users: {
      upsert: values.user_id_upsert ?? false,
      allowedEmailDomain: values.user_allowed_email_domain?.toLowerCase(),
      allowedRoles: values.user_allowed_roles,
      syncsRoleAndTeams: values.sync_user_role_and_teams ?? false,
    },
    publicAllowedRoutes: values.public_allowed_routes ?? ['public_routes'],
    enforcesRbac: values.enforce_rbac ?? false,
    roleMappings: roleMappings.map(({ role, internal_role: internalRole }) => ({ role, internalRole })),
    roleMap: roleMap.map(({ jwt_role: jwtRole, litellm_role: role }) => ({ jwtRole, role })),
    rolePermissions,
    enforcesScopes: values.enforce_scope_based_access ?? false,
    scopeMappings,
    virtualKeys: {
      mappingTtlMs: values.virtual_key_mapping_cache_ttl ?? 300 * second,
      unregistered: values.unregistered_jwt_client_behavior ?? 'fallback_team_mapping',
    },
  };
}
