import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { load, loadYaml, refusal, TemporaryDirectory } from './support.ts';

const environment = { GATEWAYCTL_JWT: 'true', JWT_ISSUER: 'https://idp.example', JWT_AUDIENCE: 'gateway' };

/** A file in which JWTs are on. */
const file = (litellm: string, own = '[{issuer: "https://idp.example", audience: gateway}]') =>
  `general_settings:\n  enable_jwt_auth: true\n  litellm_jwtauth: ${litellm}\ngatewayctl: {jwt: {issuers: ${own}}}\n`;
const issuer = (more: string) => file('{}', `[{issuer: "https://idp.example", audience: gateway, ${more}}]`);

describe('settings of JWTs', () => {
  test('are undefined while JWTs are off, and a file that speaks of them is warned of', () => {
    assert.equal(load().jwt, undefined);
    const { jwt, warnings } = loadYaml('general_settings: {litellm_jwtauth: {user_id_jwt_field: sub}}');
    assert.equal(jwt, undefined);
    assert.match(warnings.map(({ message }) => message).join(), /enable_jwt_auth is off/);
  });

  test('of an issuer are strict where nothing is said', () => {
    const { jwt, warnings } = loadYaml(file('{}'));
    assert.deepEqual(jwt?.issuers, [
      {
        issuer: 'https://idp.example',
        audiences: ['gateway'],
        keySources: [{ kind: 'discovery', url: 'https://idp.example/.well-known/openid-configuration' }],
        sharedSecret: undefined,
        algorithms: ['RS256', 'PS256', 'ES256', 'EdDSA'],
        mayGrantAdmin: false,
        tokenTypes: ['at+jwt', 'jwt'],
        maxLifetimeMs: 86_400_000,
        clockToleranceMs: 60_000,
        keyTtlMs: 600_000,
        keyStaleTtlMs: 85_800_000,
        claims: {},
      },
    ]);
    assert.deepEqual(warnings, []);
  });

  test('of LiteLLM are read with all their names', () => {
    const { jwt, warnings } = loadYaml(
      `
general_settings:
  enable_jwt_auth: True
  litellm_jwtauth:
    admin_jwt_scope: llm_admin
    admin_allowed_routes: [management_routes, /spend/*]
    team_id_jwt_field: resource_access.app.team
    team_ids_jwt_field: 'https://idp\\.example/groups'
    team_alias_jwt_field: team_name
    team_id_default: everybody
    team_id_upsert: true
    upsert_sso_user_to_team: true
    team_allowed_routes: [openai_routes, mcp_routes]
    org_id_jwt_field: org
    org_alias_jwt_field: org_name
    user_id_jwt_field: sub
    user_email_jwt_field: email
    user_allowed_email_domain: Example.com
    user_roles_jwt_field: realm_access.roles
    user_allowed_roles: [llm_user]
    user_id_upsert: true
    end_user_id_jwt_field: customer
    public_key_ttl: 300.0
    public_key_stale_ttl: 3600
    public_allowed_routes: [/v1/models]
    enforce_rbac: true
    roles_jwt_field: roles
    object_id_jwt_field: client_id
    role_mappings: [{role: llm.team, internal_role: team}]
    scope_mappings: [{scope: llm.read, models: [gpt-4o], routes: [/v1/models]}]
    enforce_scope_based_access: true
    enforce_team_based_model_access: true
    jwt_litellm_role_map: [{jwt_role: "ops-*", litellm_role: proxy_admin_viewer}]
    sync_user_role_and_teams: true
    virtual_key_claim_field: email
    virtual_key_mapping_cache_ttl: 60
    unregistered_jwt_client_behavior: REJECT
    issuers: [{issuer: "https://theirs.example", audience: [a, b], jwks_url: "https://theirs.example/keys", user_id_jwt_field: null}]
    custom_validate: null
    oidc_userinfo_enabled: false
  role_permissions: [{role: team, models: [gpt-4o], routes: [openai_routes]}]
`,
    );
    assert.equal(warnings.length, 1, 'no issuer of LiteLLM’s may make administrators');
    const { issuers = [], ...rest } = jwt ?? {};
    const [{ claims, keySources, keyTtlMs, keyStaleTtlMs } = assert.fail()] = issuers;
    assert.deepEqual(keySources, [{ kind: 'jwks', url: 'https://theirs.example/keys' }]);
    assert.deepEqual([keyTtlMs, keyStaleTtlMs], [300_000, 3_600_000]);
    assert.deepEqual(claims, {
      userId: undefined,
      userEmail: ['email'],
      userRoles: ['realm_access', 'roles'],
      teamId: ['resource_access', 'app', 'team'],
      teamIds: ['https://idp.example/groups'],
      teamAlias: ['team_name'],
      organizationId: ['org'],
      organizationAlias: ['org_name'],
      endUserId: ['customer'],
      roles: ['roles'],
      objectId: ['client_id'],
      virtualKey: ['email'],
    });
    assert.deepEqual(rest, {
      admin: { scope: 'llm_admin', allowedRoutes: ['management_routes', '/spend/*'] },
      teams: {
        defaultId: 'everybody',
        upsert: true,
        addsUsers: true,
        allowedRoutes: ['openai_routes', 'mcp_routes'],
        enforcesModelAccess: true,
      },
      users: { upsert: true, allowedEmailDomain: 'example.com', allowedRoles: ['llm_user'], syncsRoleAndTeams: true },
      publicAllowedRoutes: ['/v1/models'],
      enforcesRbac: true,
      roleMappings: [{ role: 'llm.team', internalRole: 'team' }],
      roleMap: [{ jwtRole: 'ops-*', role: 'proxy_admin_viewer' }],
      rolePermissions: [{ role: 'team', models: ['gpt-4o'], routes: ['openai_routes'] }],
      enforcesScopes: true,
      scopeMappings: [{ scope: 'llm.read', models: ['gpt-4o'], routes: ['/v1/models'] }],
      virtualKeys: { mappingTtlMs: 60_000, unregistered: 'reject' },
    });
  });

  test('of the environment are one issuer, or as many as there are places of keys', () => {
    const one = load({ env: { ...environment, JWT_PUBLIC_KEY_URL: 'https://a.example/keys, https://b.example/keys' } });
    assert.deepEqual(
      one.jwt?.issuers.map(({ issuer: name, keySources }) => [name, keySources.map(({ url }) => url)]),
      [['https://idp.example', ['https://a.example/keys', 'https://b.example/keys']]],
    );
    const two = load({
      env: {
        ...environment,
        JWT_ISSUER: 'https://a.example,b',
        JWT_PUBLIC_KEY_URL: 'https://a.example/.well-known/openid-configuration,https://b.example/keys',
      },
    });
    assert.deepEqual(
      two.jwt?.issuers.map(({ issuer: name, audiences, keySources }) => [name, audiences, keySources]),
      [
        [
          'https://a.example',
          ['gateway'],
          [{ kind: 'discovery', url: 'https://a.example/.well-known/openid-configuration' }],
        ],
        ['b', ['gateway'], [{ kind: 'jwks', url: 'https://b.example/keys' }]],
      ],
    );
  });

  test('take a shared secret from a variable or a file, and never show it', () => {
    const secret = 'a-shared-secret-of-more-than-32-bytes';
    const referred = loadYaml(issuer('shared_secret: os.environ/SHARED'), { env: { SHARED: secret } });
    using directory = new TemporaryDirectory();
    directory.write('shared', `${secret}\n`);
    directory.write('config.yaml', issuer('shared_secret: "@shared"'));
    const kept = load({ file: 'config.yaml', cwd: directory.path });
    for (const { jwt, secrets } of [referred, kept]) {
      const [{ sharedSecret, algorithms, keySources } = assert.fail()] = jwt?.issuers ?? [];
      assert.deepEqual([sharedSecret, algorithms, keySources], [secret, ['HS256'], []]);
      assert.ok(secrets.includes(secret));
    }
  });

  test('that would make administrators are warned of when no issuer may', () => {
    const warned = (more: string) => loadYaml(issuer(more).replace('{}', '{admin_jwt_scope: admin}')).warnings.length;
    assert.deepEqual([warned('may_grant_admin: false'), warned('may_grant_admin: true')], [1, 0]);
  });
});

const wrong: Readonly<Record<string, readonly [() => unknown, RegExp]>> = {
  'no issuer at all': [
    () => load({ env: { GATEWAYCTL_JWT: 'true' } }),
    /JWT authentication: is on, but no issuer is known/,
  ],
  'no issuer': [() => load({ env: { ...environment, JWT_ISSUER: '' } }), /JWT_ISSUER: is missing/],
  'no audience': [() => load({ env: { ...environment, JWT_AUDIENCE: '' } }), /JWT_AUDIENCE: is missing/],
  'keys over plain http': [
    () => load({ env: { ...environment, JWT_PUBLIC_KEY_URL: 'http://idp.example/keys' } }),
    /JWT_PUBLIC_KEY_URL: must be an https:\/\/ URL/,
  ],
  'keys of nobody knows which issuer': [
    () => load({ env: { ...environment, JWT_ISSUER: 'a,b', JWT_PUBLIC_KEY_URL: 'https://a/keys' } }),
    /one URL for each issuer/,
  ],
  'an issuer without a place of keys': [
    () => load({ env: { ...environment, JWT_ISSUER: 'idp' } }),
    /JWT_PUBLIC_KEY_URL: is missing/,
  ],
  'an entry without an audience': [() => loadYaml(file('{}', '[{issuer: "https://a"}]')), /audience is missing/],
  'an entry without an issuer': [() => loadYaml(file('{}', '[{audience: a}]')), /issuer is missing/],
  'an issuer given twice': [
    () => loadYaml(file('{issuers: [{issuer: "https://idp.example", audience: b}]}')),
    /3:\d+: the issuer is already given at \S+:4:/,
  ],
  'an issuer of the file in the environment as well': [
    () => loadYaml(file('{}'), { env: environment }),
    /JWT_ISSUER: the issuer is already given/,
  ],
  'an audience that is not checked': [
    () => loadYaml(file('{issuers: [{issuer: "https://a", disable_audience_validation: true}]}')),
    /disable_audience_validation is not served: a token for any other/,
  ],
  'plain http in the file': [() => loadYaml(issuer('jwks_url: "http://10.0.0.1/keys"')), /jwks_url: must be an https/],
  'a password in a URL': [
    () => loadYaml(issuer('jwks_url: "https://a:b@idp.example/keys"')),
    /jwks_url: must be an https/,
  ],
  'two places of keys': [
    () => loadYaml(issuer('jwks_url: "https://a/k", discovery_url: "https://a/d"')),
    /jwks_url and discovery_url cannot both/,
  ],
  'a secret of 31 bytes': [() => loadYaml(issuer(`shared_secret: ${'x'.repeat(31)}`)), /at least 32 bytes/],
  'a secret beside public keys': [
    () => loadYaml(issuer(`shared_secret: ${'x'.repeat(32)}, jwks_url: "https://a/k"`)),
    /jwks_url cannot be given beside shared_secret/,
  ],
  'a secret beside other algorithms': [
    () => loadYaml(issuer(`shared_secret: ${'x'.repeat(32)}, algorithms: [HS256, RS256]`)),
    /nothing but HS256/,
  ],
  'HS256 without a secret': [() => loadYaml(issuer('algorithms: [HS256]')), /HS256 needs a shared_secret/],
  'the algorithm none': [() => loadYaml(issuer('algorithms: [none]')), /algorithms: /],
  'too much tolerance': [
    () => loadYaml(issuer('clock_tolerance: 61s')),
    /clock_tolerance: must be a length of time up to 60s/,
  ],
  'a misspelt setting of ours': [
    () => loadYaml(issuer('audiences: x')),
    /unknown key "audiences" \(did you mean audience\?\)/,
  ],
  'a misspelt setting of LiteLLM': [
    () => loadYaml(file('{user_id_jwt_fields: sub}')),
    /3:\d+: unknown key "user_id_jwt_fields" \(did you mean user_id_jwt_field\?\)/,
  ],
  'a claim without a name': [
    () => loadYaml(file('{user_id_jwt_field: a..b}')),
    /user_id_jwt_field: must be the name of a claim/,
  ],
  'code of the operator': [() => loadYaml(file('{custom_validate: mod.fn}')), /custom_validate is not served: no code/],
  'opaque tokens': [
    () => loadYaml(file('{routing_overrides: [{iss: a, path: oauth2}]}')),
    /routing_overrides is not served: opaque OAuth2 tokens/,
  ],
  'user info': [() => loadYaml(file('{oidc_userinfo_enabled: true}')), /oidc_userinfo_enabled is not served/],
  'roles that nobody needs': [() => loadYaml(file('{user_roles_jwt_field: roles}')), /needs user_allowed_roles/],
  'an object nobody knows the kind of': [() => loadYaml(file('{object_id_jwt_field: sub}')), /needs role_mappings/],
  'scopes that restrict nothing': [
    () => loadYaml(file('{scope_mappings: [{scope: a}]}')),
    /needs enforce_scope_based_access/,
  ],
  'half a mapping': [() => loadYaml(file('{role_mappings: [{role: a}]}')), /internal_role is missing/],
  'a role that is none': [() => loadYaml(file('{role_mappings: [{role: a, internal_role: root}]}')), /internal_role: /],
  'a group of routes that is none': [
    () => loadYaml(file('{team_allowed_routes: [openai_route]}')),
    /team_allowed_routes: must be paths/,
  ],
};

describe('the daemon does not start with', () => {
  for (const [name, [act, message]] of Object.entries(wrong)) {
    test(name, () => assert.match(refusal(act).shown, message));
  }
});
