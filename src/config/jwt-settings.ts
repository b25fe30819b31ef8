import type { Role } from '../kernel/operation.ts';

export const publicKeyAlgorithms = [
  'RS256',
  'RS384',
  'RS512',
  'PS256',
  'PS384',
  'PS512',
  'ES256',
  'ES384',
  'ES512',
  'EdDSA',
] as const;

/** HS256 is for an issuer with a shared secret, and then for nothing else: a public key must never pass for a secret. */
export type Algorithm = (typeof publicKeyAlgorithms)[number] | 'HS256';

/** The names on the way to a claim: `resource_access.app.roles` is three; a dot of a name itself is written `\.`. */
export type ClaimPath = readonly string[];

/** Where the claims stand that say who is calling. Absent is not read. */
export interface ClaimFields {
  readonly userId?: ClaimPath | undefined;
  readonly userEmail?: ClaimPath | undefined;
  /** Roles that must be among `users.allowedRoles`. */
  readonly userRoles?: ClaimPath | undefined;
  readonly teamId?: ClaimPath | undefined;
  /** A list of teams, of which the first that has the model is taken. */
  readonly teamIds?: ClaimPath | undefined;
  readonly teamAlias?: ClaimPath | undefined;
  readonly organizationId?: ClaimPath | undefined;
  readonly organizationAlias?: ClaimPath | undefined;
  readonly endUserId?: ClaimPath | undefined;
  /** Roles that `roleMappings` and `roleMap` are about. */
  readonly roles?: ClaimPath | undefined;
  /** A user or a team, as the role mapping says. */
  readonly objectId?: ClaimPath | undefined;
  /** What a virtual key is mapped to. */
  readonly virtualKey?: ClaimPath | undefined;
}

/** Where the public keys of an issuer are: a key set, or a discovery document that names one. */
export interface KeySource {
  readonly kind: 'jwks' | 'discovery';
  /** https, or http on the loopback interface. */
  readonly url: string;
}

export interface IssuerSettings {
  /** As it stands in `iss`, compared character by character. */
  readonly issuer: string;
  /** At least one; a token has to name one of them in `aud`. */
  readonly audiences: readonly string[];
  /** Empty where there is a shared secret, and only there. */
  readonly keySources: readonly KeySource[];
  /** At least 32 bytes in UTF-8. */
  readonly sharedSecret: string | undefined;
  readonly algorithms: readonly Algorithm[];
  /** Whether a token of this issuer may make somebody an administrator, by a scope or a role. */
  readonly mayGrantAdmin: boolean;
  /** Accepted `typ`, in lower case and without `application/`; a token without any counts as `jwt`. */
  readonly tokenTypes: readonly string[];
  /** The longest time from `iat` to `exp`. */
  readonly maxLifetimeMs: number;
  readonly clockToleranceMs: number;
  /** For how long public keys count as fresh. */
  readonly keyTtlMs: number;
  /** For how long they go on being used after that while the issuer does not answer. */
  readonly keyStaleTtlMs: number;
  /** The common ones with this issuer's own in their place. */
  readonly claims: ClaimFields;
}

/** What a role of a token stands for. */
export type InternalRole = 'proxy_admin' | 'team' | 'internal_user';

export interface RoleMapping {
  /** As it stands in the token. */
  readonly role: string;
  readonly internalRole: InternalRole;
}

/** Models and routes; absent is no limit. */
export interface Permissions {
  readonly models?: readonly string[] | undefined;
  readonly routes?: readonly string[] | undefined;
}

export const unregisteredBehaviours = ['fallback_team_mapping', 'reject', 'auto_register'] as const;

/** Everything the configuration says of JWTs: `litellm_jwtauth`, `role_permissions`, JWT_* and `gatewayctl.jwt`. */
export interface JwtSettings {
  /** At least one; no two with the same name. */
  readonly issuers: readonly IssuerSettings[];
  readonly admin: {
    /** A scope that makes an administrator, if the issuer may. */
    readonly scope: string;
    readonly allowedRoutes: readonly string[];
  };
  readonly teams: {
    /** Of a token that names none. */
    readonly defaultId: string | undefined;
    /** Whether a team nobody knows is made. */
    readonly upsert: boolean;
    /** Whether users of tokens become members of their teams. */
    readonly addsUsers: boolean;
    readonly allowedRoutes: readonly string[];
    /** Whether a call is refused when none of the teams has the model. */
    readonly enforcesModelAccess: boolean;
  };
  readonly users: {
    readonly upsert: boolean;
    /** `example.com`; lower case. */
    readonly allowedEmailDomain: string | undefined;
    /** Given exactly where the claim of roles is. */
    readonly allowedRoles: readonly string[] | undefined;
    /** Whether role and teams of a user are kept as the token says. */
    readonly syncsRoleAndTeams: boolean;
  };
  /** Of a token that stands for nobody known. */
  readonly publicAllowedRoutes: readonly string[];
  readonly enforcesRbac: boolean;
  readonly roleMappings: readonly RoleMapping[];
  /** Patterns of roles in tokens, and the roles of users that they stand for. */
  readonly roleMap: readonly { readonly jwtRole: string; readonly role: Role }[];
  readonly rolePermissions: readonly (Permissions & { readonly role: InternalRole })[];
  readonly enforcesScopes: boolean;
  readonly scopeMappings: readonly (Permissions & { readonly scope: string })[];
  readonly virtualKeys: {
    readonly mappingTtlMs: number;
    /** What becomes of a token whose claim no virtual key is mapped to. */
    readonly unregistered: (typeof unregisteredBehaviours)[number];
  };
}
