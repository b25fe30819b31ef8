import { z } from 'zod';
import { models } from '../kernel/fields.ts';
import { roles } from '../kernel/operation.ts';
import { isRouteEntry } from '../kernel/route-groups.ts';
import { claimShape, items, millisecondsFrom } from './jwt-fields.ts';
import type { JwtContext } from './jwt-issuers.ts';
import { unregisteredBehaviours } from './jwt-settings.ts';
import { members } from './structures.ts';
import type { Tree } from './yaml.ts';

/** Groups of LiteLLM's that have no routes here, and stand in its defaults. */
const emptyGroups: ReadonlySet<string> = new Set(['mcp_routes', 'public_routes']);

const routes = z.array(
  z
    .string()
    .refine((entry) => emptyGroups.has(entry) || isRouteEntry(entry), 'must be paths and names of route groups'),
);
const text = z.string().min(1).max(500);
const internalRole = z.enum(['proxy_admin', 'team', 'internal_user']);
const day = 86_400_000;

/** Names of LiteLLM's that are not served, and why. They are refused: each decides who gets in, or as whom. */
const unserved: Readonly<Record<string, string>> = {
  custom_validate: 'no code of the operator’s runs in the gateway; required claims can be mapped with role_mappings',
  routing_overrides: 'opaque OAuth2 tokens are not taken; have the client ask for a JWT',
  oidc_userinfo_enabled: 'who is calling is read from the signed token alone; have the issuer put the claims into it',
  oidc_userinfo_endpoint: 'who is calling is read from the signed token alone; have the issuer put the claims into it',
  oidc_userinfo_cache_ttl: 'who is calling is read from the signed token alone; have the issuer put the claims into it',
  agent_id_jwt_field: 'there are no agents here',
  fallback_to_db_teams: 'a token without a team gets team_id_default, or no team',
  auto_register_map_existing_key: 'a key of a person is not handed to whatever signs in as that person',
};

const mostOfAnything = 1_000;

const shape = {
  ...claimShape,
  admin_jwt_scope: text,
  admin_allowed_routes: routes,
  team_id_default: text,
  team_id_upsert: z.boolean(),
  upsert_sso_user_to_team: z.boolean(),
  team_allowed_routes: routes,
  user_allowed_email_domain: text.regex(/^[\w.-]+$/, 'must be the part of an address behind the @'),
  user_allowed_roles: z.array(text).max(mostOfAnything),
  user_id_upsert: z.boolean(),
  public_key_ttl: millisecondsFrom(1_000, day, 'seconds from 1 to 86400'),
  public_key_stale_ttl: millisecondsFrom(0, day, 'seconds from 0 to 86400'),
  public_allowed_routes: routes,
  enforce_rbac: z.boolean(),
  enforce_scope_based_access: z.boolean(),
  enforce_team_based_model_access: z.boolean(),
  sync_user_role_and_teams: z.boolean(),
  virtual_key_mapping_cache_ttl: millisecondsFrom(0, day, 'seconds from 0 to 86400'),
  unregistered_jwt_client_behavior: z
    .string()
    .transform((given) => given.toLowerCase())
    .pipe(z.enum(unregisteredBehaviours)),
  ...Object.fromEntries([...Object.keys(unserved), 'issuers'].map((name) => [name, z.unknown()])),
  role_mappings: z.unknown(),
  scope_mappings: z.unknown(),
  jwt_litellm_role_map: z.unknown(),
} as const;

const roleMapping = { role: text, internal_role: internalRole };
const scopeMapping = { scope: text, models, routes };
const roleMapEntry = { jwt_role: text, litellm_role: z.enum(roles) };
const rolePermission = { role: internalRole, models, routes };

/** Reads `general_settings.litellm_jwtauth`, all but its claims and issuers. */
export function readLitellmJwt(tree: Tree | undefined, context: JwtContext) {
  const values = members(tree, shape, context);
  const at = (name: string) => (tree?.kind === 'map' ? tree.entries.get(name)?.value : undefined);
  refuseUnserved(tree, context);
  requireCompanions(tree, context);
  return {
    values,
    roleMappings: whole(at('role_mappings'), roleMapping, ['role', 'internal_role'], context),
    scopeMappings: whole(at('scope_mappings'), scopeMapping, ['scope'], context),
    roleMap: whole(at('jwt_litellm_role_map'), roleMapEntry, ['jwt_role', 'litellm_role'], context),
  };
}

/** Reads `general_settings.role_permissions`. */
export const readRolePermissions = (tree: Tree | undefined, context: JwtContext) =>
  whole(tree, rolePermission, ['role'], context);

/** Entries that have what makes them up; half of a mapping maps nothing, or everything. */
function whole<const Shape extends Record<string, z.ZodType>, const Name extends keyof Shape & string>(
  tree: Tree | undefined,
  shapeOfItem: Shape,
  required: readonly Name[],
  context: JwtContext,
) {
  type Whole = { [Each in Name]: z.output<Shape[Each]> } & { [Each in keyof Shape]?: z.output<Shape[Each]> };
  const isWhole = (values: object): values is Whole => required.every((name) => name in values);
  return items(tree, shapeOfItem, context).flatMap(({ item, values }) => {
    if (isWhole(values)) return [values];
    const missing = required.find((name) => item.kind === 'map' && !item.entries.has(name));
    if (missing !== undefined) context.problems.add(item.at, `${missing} is missing`);
    return [];
  });
}

function refuseUnserved(tree: Tree | undefined, { problems }: JwtContext): void {
  if (tree?.kind !== 'map') return;
  for (const [name, { at, value }] of tree.entries) {
    const reason = Object.hasOwn(unserved, name) ? unserved[name] : undefined;
    const isOff = value.kind === 'list' ? value.items.length === 0 : value.kind === 'scalar' && !value.value;
    if (reason !== undefined && !isOff) problems.add(at, `${name} is not served: ${reason}`);
  }
}

/** Settings that mean nothing, or too much, without another. LiteLLM refuses the same. */
function requireCompanions(tree: Tree | undefined, { problems }: JwtContext): void {
  if (tree?.kind !== 'map') return;
  const given = (name: string) => {
    const entry = tree.entries.get(name);
    return entry && !(entry.value.kind === 'scalar' && !entry.value.value) ? entry : undefined;
  };
  const require = (name: string, other: string, why: string) => {
    const entry = given(name);
    if (entry && !given(other)) problems.add(entry.at, `${name} needs ${other}: ${why}`);
  };
  require('user_roles_jwt_field', 'user_allowed_roles', 'otherwise no role lets anybody in');
  require('user_allowed_roles', 'user_roles_jwt_field', 'otherwise nobody has a role');
  require('object_id_jwt_field', 'role_mappings', 'they tell users from teams');
  require('scope_mappings', 'enforce_scope_based_access', 'otherwise the mappings restrict nothing');
}
