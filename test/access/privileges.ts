/** Who asks: the roles of the matrix. A service is a key without a user. */
export const callers = [
  'anon',
  'service',
  'internal_user',
  'internal_user_viewer',
  'team_admin',
  'org_admin',
  'proxy_admin_viewer',
  'proxy_admin',
  'master',
] as const;
export type Caller = (typeof callers)[number];

/** What it is asked for: an object of the caller's own, of its team, of another team of its organization, of another organization. */
export const classes = ['own', 'team', 'organization', 'foreign'] as const;
export type Class = (typeof classes)[number];

export interface Site {
  /** Hashes of keys, by who holds them. */
  readonly keys: Readonly<Record<string, string>>;
  readonly invitation: string;
  readonly mapping: string;
  /** Entries of the audit log about the teams, by team. */
  readonly audits: Readonly<Record<string, string>>;
}

export interface Row {
  readonly input: (of: Class, caller: Caller, site: Site) => Record<string, unknown>;
  /**
   * For each caller a letter per class: `y` it is done, `f` refused with 403, `n` 404 like what is not there, `u` 401, `-` there
   * is no such object. One letter where the object belongs to nobody.
   */
  readonly cells: Readonly<Record<Caller, string>>;
}

const userOf: Readonly<Record<Caller, string>> = {
  anon: 'nobody',
  service: 'nobody',
  internal_user: 'member',
  internal_user_viewer: 'viewer',
  team_admin: 'lead',
  org_admin: 'head',
  proxy_admin_viewer: 'watcher',
  proxy_admin: 'chief',
  master: 'nobody',
};

const holderOf: Readonly<Record<Exclude<Class, 'own'>, string>> = {
  team: 'mate',
  organization: 'neighbour',
  foreign: 'foreigner',
};

const teamOf: Readonly<Record<Exclude<Class, 'own'>, string>> = { team: 't1', organization: 't2', foreign: 't3' };

const keyOf = (of: Class, caller: Caller, { keys }: Site): string =>
  of === 'own' ? `of-${caller === 'service' ? 'service' : userOf[caller]}` : (keys[holderOf[of]] ?? '');

const person = (of: Class, caller: Caller): string => (of === 'own' ? userOf[caller] : holderOf[of]);

const team = (of: Class): string => (of === 'own' ? 't1' : teamOf[of]);
const organization = (of: Class): string => (of === 'foreign' ? 'o2' : 'o1');

type Cells = Readonly<Record<Caller, string>>;

/** A letter per caller but the first, in the order of `callers`, for one object; anonymous is always refused with 401. */
const one = (letters: string): Cells => each(...letters.split(''));

const each = (...words: string[]): Cells => {
  const width = words[0]?.length ?? 1;
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- every caller is in it
  return Object.fromEntries(
    callers.map((caller, index) => [caller, index === 0 ? 'u'.repeat(width) : (words[index - 1] ?? '')]),
  ) as Cells;
};

/** Of a service, a member, a viewer, a team's administrator, an organization's, one who sees all, an administrator, the master key. */
const everybody = one('yyyyyyyy');
const administrators = { reads: one('fffffyyy'), writes: one('ffffffyy') };

const keys = {
  read: each('ynnn', 'ynnn', 'ynnn', 'yynn', 'yyyn', 'yyyy', 'yyyy', '-yyy'),
  hold: each('ffff', 'ynnn', 'ffff', 'yynn', 'yyyn', 'ffff', 'yyyy', '-yyy'),
  manage: each('ffff', 'fnnn', 'ffff', 'fynn', 'fyyn', 'ffff', 'yyyy', '-yyy'),
};

const teams = {
  read: each('nnnn', 'yynn', 'yynn', 'yynn', 'yyyn', 'yyyy', 'yyyy', 'yyyy'),
  see: each('nnnn', 'ffnn', 'ffnn', 'yynn', 'yyyn', 'yyyy', 'yyyy', 'yyyy'),
  manage: each('ffff', 'ffnn', 'ffff', 'yynn', 'yyyn', 'ffff', 'yyyy', 'yyyy'),
  above: each('ffff', 'ffnn', 'ffff', 'ffnn', 'yyyn', 'ffff', 'yyyy', 'yyyy'),
};

const users = {
  read: each('-nnn', 'ynnn', 'ynnn', 'ynnn', 'yyyn', 'yyyy', 'yyyy', '-yyy'),
  self: each('-fff', 'ynnn', 'ffff', 'ynnn', 'yyyn', 'ffff', 'yyyy', '-yyy'),
  above: each('-fff', 'fnnn', 'ffff', 'fnnn', 'fyyn', 'ffff', 'yyyy', '-yyy'),
  delete: each('-fff', 'fnnn', 'ffff', 'fnnn', 'fffn', 'ffff', 'yyyy', '-yyy'),
};

const organizations = {
  read: each('n--n', 'y--n', 'y--n', 'y--n', 'y--n', 'y--y', 'y--y', 'y--y'),
  manage: each('f--f', 'f--n', 'f--f', 'f--n', 'y--n', 'f--f', 'y--y', 'y--y'),
};

const row = (cells: Cells, input: Row['input'] = () => ({})): Row => ({ input, cells });
const ofKey = (cells: Cells, more: object = {}): Row =>
  row(cells, (of, caller, site) => ({ key: keyOf(of, caller, site), ...more }));
const ofTeam = (cells: Cells, more: object = {}): Row => row(cells, (of) => ({ team_id: team(of), ...more }));
const ofUser = (cells: Cells, more: object = {}): Row =>
  row(cells, (of, caller) => ({ user_id: person(of, caller), ...more }));
const ofOrganization = (cells: Cells, more: object = {}): Row =>
  row(cells, (of) => ({ organization_id: organization(of), ...more }));
const plain = (cells: Cells, input: Record<string, unknown> = {}): Row => row(cells, () => input);

const admin = (input: Record<string, unknown> = {}): Row => plain(administrators.writes, input);
const viewed = (input: Record<string, unknown> = {}): Row => plain(administrators.reads, input);

export const privileges: Readonly<Record<string, Row>> = {
  'key generate': plain(one('fyfyyfyy')),
  'key generate-service-account': ofTeam(each('ffff', 'uunn', 'ffff', 'yynn', 'yyyn', 'ffff', 'yyyy', 'yyyy')),
  'key list': plain(everybody),
  'key aliases': plain(everybody),
  'key get': ofKey(keys.read),
  explain: ofKey(keys.read, { model: 'mock-gpt' }),
  'key get-several': row(everybody, (_, caller, site) => ({ keys: [keyOf('own', caller, site)] })),
  'key update': ofKey(keys.hold, { metadata: { seen: true } }),
  'key bulk-update': row(administrators.writes, (_, caller, site) => ({
    keys: [{ key: keyOf('team', caller, site), max_budget: 1 }],
  })),
  'key delete': row(keys.hold, (of, caller, site) => ({ keys: [keyOf(of, caller, site)] })),
  'key block': ofKey(keys.manage),
  'key unblock': ofKey(keys.manage),
  'key rotate': ofKey(keys.hold),
  'key reset-spend': ofKey(keys.manage, { reset_to: 0 }),

  'team create': plain(one('ffffffyy'), { team_alias: 'new' }),
  'team get': ofTeam(teams.read),
  'team list': plain(everybody),
  'team list-all': plain(everybody),
  'team available': plain(everybody),
  'team update': ofTeam(teams.manage, { metadata: { seen: true } }),
  'team delete': row(teams.above, (of) => ({ team_ids: [team(of)] })),
  'team block': ofTeam(teams.above),
  'team unblock': ofTeam(teams.above),
  'team permission list': ofTeam(teams.see),
  'team permission set': ofTeam(teams.manage, { team_member_permissions: [] }),
  'team model add': ofTeam(teams.above, { models: ['gpt-5'] }),
  'team model delete': ofTeam(teams.manage, { models: ['gpt-4o'] }),
  'team member list': ofTeam(teams.see),
  'team member add': ofTeam(teams.manage, { member: { role: 'user', user_id: 'spare' } }),
  'team member add-all': ofTeam(teams.manage, { members: [{ role: 'user', user_id: 'spare' }] }),
  'team member update': row(teams.manage, (of) => ({
    team_id: team(of),
    user_id: of === 'own' ? 'mate' : holderOf[of],
    role: 'user',
  })),
  'team member delete': row(teams.manage, (of) => ({
    team_id: team(of),
    user_id: of === 'own' ? 'mate' : holderOf[of],
  })),

  'user create': plain(one('ffffffyy'), { user_id: 'new' }),
  'user get': ofUser(users.read),
  'user get-alone': ofUser(users.read),
  'user list': plain(everybody),
  'user list-roles': plain(everybody),
  'user update': ofUser(users.self, { user_alias: 'seen' }),
  'user delete': row(users.delete, (of, caller) => ({ user_ids: [person(of, caller)], cascade: true })),
  'user block': ofUser(users.above),
  'user unblock': ofUser(users.above),
  'user bulk-update': admin({ users: [{ user_id: 'mate', user_alias: 'seen' }] }),

  'org create': admin({ organization_alias: 'new' }),
  'org list': plain(everybody),
  'org list-all': plain(everybody),
  'org get': ofOrganization(organizations.read),
  'org get-several': row(everybody, (of) => ({ organizations: [organization(of)] })),
  'org update': admin({ organization_id: 'o1', metadata: {} }),
  'org delete': admin({ organization_ids: ['o1'], cascade: true }),
  'org block': admin({ organization_id: 'o1' }),
  'org unblock': admin({ organization_id: 'o1' }),
  'org member list': ofOrganization(organizations.read),
  'org member add': ofOrganization(organizations.manage, { member: { role: 'internal_user', user_id: 'quite-new' } }),
  'org member update': row(organizations.manage, (of) => ({
    organization_id: organization(of),
    user_id: of === 'own' ? 'mate' : 'foreigner',
    role: 'internal_user_viewer',
  })),
  'org member delete': row(organizations.manage, (of) => ({
    organization_id: organization(of),
    user_id: of === 'own' ? 'mate' : 'foreigner',
  })),

  'invitation create': admin({ user_id: 'mate' }),
  'invitation get': row(administrators.reads, (_, __, site) => ({ invitation_id: site.invitation })),
  'invitation update': row(administrators.writes, (_, __, site) => ({
    invitation_id: site.invitation,
    is_accepted: true,
  })),
  'invitation delete': row(administrators.writes, (_, __, site) => ({ invitation_id: site.invitation })),

  'customer create': admin({ user_id: 'c2' }),
  'customer list': viewed(),
  'customer list-all': viewed(),
  'customer get': viewed({ end_user_id: 'c1' }),
  'customer update': admin({ user_id: 'c1', max_budget: 5 }),
  'customer delete': admin({ user_ids: ['c1'] }),
  'customer block': admin({ user_ids: ['c1'] }),
  'customer unblock': admin({ user_ids: ['c1'] }),

  'budget create': admin({ budget_id: 'b2' }),
  'budget update': admin({ budget_id: 'b1', max_budget: 5 }),
  'budget list': viewed(),
  'budget list-all': viewed(),
  'budget get': viewed({ budget_id: 'b1' }),
  'budget get-several': viewed({ budgets: ['b1'] }),
  'budget settings': viewed({ budget_id: 'b1' }),
  'budget delete': admin({ id: 'b1' }),

  'jwt test': viewed({ token: 'not.a.token' }),
  'jwt mapping create': row(administrators.writes, (_, __, site) => ({
    jwt_claim_name: 'client',
    jwt_claim_value: 'two',
    key: site.keys['mate'],
  })),
  'jwt mapping list': viewed(),
  'jwt mapping get': row(administrators.reads, (_, __, { mapping }) => ({ id: mapping })),
  'jwt mapping update': row(administrators.writes, (_, __, { mapping }) => ({ id: mapping, is_active: false })),
  'jwt mapping delete': row(administrators.writes, (_, __, { mapping }) => ({ id: mapping })),
  'tag create': admin({ name: 'tag2' }),
  'tag list': viewed(),
  'tag list-all': viewed(),
  'tag get': viewed({ name: 'tag1' }),
  'tag get-several': viewed({ names: ['tag1'] }),
  'tag update': admin({ name: 'tag1', max_budget: 5 }),
  'tag delete': admin({ name: 'tag1' }),

  'model create': plain(one('ffffffyy'), { model_name: 'm2', litellm_params: { model: 'mock/m2' } }),
  'model list': plain(everybody),
  'model get': plain(everybody),
  'model group list': plain(everybody),
  'model update': plain(one('ffffffyy'), { id: 'm1', litellm_params: { mock_response: 'hi' } }),
  'model delete': plain(one('ffffffyy'), { id: 'm1' }),
  'access-group create': admin({ access_group: 'g', model_names: ['m1'] }),
  'access-group list': plain(everybody),
  'access-group get': plain(one('nynyyyyy'), { access_group: 'g1' }),
  'access-group update': admin({ access_group: 'g1', model_names: ['m1'] }),
  'access-group delete': admin({ access_group: 'g1' }),
  'credential create': admin({ credential_name: 'cred2', credential_values: { api_key: 'sk-provider-abcdefghij' } }),
  'credential list': viewed(),
  'credential get': viewed({ credential_name: 'cred1' }),
  'credential get-by-model': viewed({ model_id: 'm3' }),
  'credential update': admin({ credential_name: 'cred1', credential_info: { a: 1 } }),
  'credential delete': admin({ credential_name: 'cred1' }),
  'cache ping': viewed(),
  'cache delete': admin({ keys: ['0'.repeat(64)] }),
  'cache flush': admin(),
  'callback list': viewed(),
  'alert list': viewed(),
  'alert test': admin(),
  'daemon reload': admin(),
  'daemon show-usage': viewed(),
  'daemon show-calls': viewed(),
  'key callback set': admin({
    key: 'of-member',
    callback_name: 'webhook',
    callback_vars: { webhook_url: 'https://a.example' },
  }),
  'key callback list': viewed({ key: 'of-member' }),
  'key callback disable': admin({ key: 'of-member' }),
  'team callback set': admin({
    team_id: 't1',
    callback_name: 'webhook',
    callback_vars: { webhook_url: 'https://a.example' },
  }),
  'team callback list': viewed({ team_id: 't1' }),
  'team callback disable': admin({ team_id: 't1' }),
  'spend body get': plain(one('fffffnnn'), { request_id: 'none' }),
  'spend body redact': plain(one('ffffffnn'), { request_id: 'none' }),
  'passthrough create': admin({ path: '/through2', target: 'http://127.0.0.1:9' }),
  'passthrough list': viewed(),
  'passthrough get': viewed({ endpoint_id: '/through1' }),
  'passthrough update': admin({ endpoint_id: '/through1', cost_per_request: 1 }),
  'passthrough delete': admin({ endpoint_id: '/through1' }),

  'global-spend list-days': viewed(),
  'global-spend list-end-users': viewed(),
  'global-spend list-keys': viewed(),
  'global-spend list-models': viewed(),
  'global-spend list-providers': viewed(),
  'global-spend list-tag-names': viewed(),
  'global-spend list-tags': viewed(),
  'global-spend list-teams': viewed(),
  'global-spend show': viewed(),
  'global-spend report': viewed({ start_date: '2026-01-01', end_date: '2026-01-02' }),
  'budget simulate': viewed({ limit: 1, last: '1d' }),
  'spend calculate': plain(everybody, { model: 'gpt-4o', messages: [{ role: 'user', content: 'x' }] }),
  'spend list-keys': plain(everybody),
  'spend list-logs': plain(everybody, { start_date: '2026-01-01', end_date: '2026-01-02' }),
  'spend list-tags': viewed(),
  'spend list-users': plain(everybody),
  'spend verify': viewed(),
  'spend reprice': admin({ start_date: '2026-01-01', end_date: '2026-01-02' }),
  'spend logs': plain(everybody),
  'spend report': plain(everybody),
  'user activity': ofUser(each('-nnn', 'ynnn', 'ynnn', 'yynn', 'yyyn', 'yyyy', 'yyyy', '-yyy')),
  'user activity-aggregated': ofUser(each('-nnn', 'ynnn', 'ynnn', 'yynn', 'yyyn', 'yyyy', 'yyyy', '-yyy')),
  'team activity': row(teams.read, (of) => ({ team_ids: team(of) })),
  'customer activity': viewed({ end_user_ids: 'c1' }),
  'tag activity': viewed({ tags: 'tag1' }),
  'tag summary': viewed(),
  'org activity': row(organizations.read, (of) => ({ organization_ids: organization(of) })),

  'audit list': plain(one('ffffyyyy')),
  'audit show': row(each('ffff', 'ffff', 'ffff', 'ffff', 'yyyn', 'yyyy', 'yyyy', 'yyyy'), (of, _, site) => ({
    id: site.audits[team(of)],
  })),
  'audit verify': viewed(),
};
