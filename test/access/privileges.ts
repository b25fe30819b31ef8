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
  readonly audit: string;
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

export { keyOf, organization, person, team };

export const privileges: Readonly<Record<string, Row>> = {};
