import type { Pool } from 'pg';

export interface Sizes {
  readonly keys: number;
  readonly teams: number;
  readonly users: number;
  /** Who has signed in and has neither keys nor teams. */
  readonly guests: number;
  readonly organizations: number;
}

/** As a large site is made: 25 keys in a team, and as many users as teams; five guests for each. */
export const sizes = (keys: number): Sizes => ({
  keys,
  teams: Math.max(1, Math.round(keys / 25)),
  users: Math.max(1, Math.round(keys / 25)),
  guests: Math.round(keys / 5),
  organizations: Math.max(1, Math.round(keys / 10_000)),
});

/** Names of objects in the middle of what was made. */
export interface Site {
  readonly team: string;
  readonly user: string;
  readonly organization: string;
  readonly alias: string;
  readonly hash: string;
  /** Part of one address. */
  readonly part: string;
  /** The team with a tenth of all keys. */
  readonly crowd: string;
  /** The user who made a fifth of them. */
  readonly maker: string;
}

/** A team with a tenth of all keys, and a user who made a fifth of them: both lie in every page of the table. */
const crowd = 'crowd';
const maker = 'user-7';

const stamps = `now() - (i || ' seconds')::interval, 'bench', now(), 'bench'`;

const statements = ({ keys, teams, users, guests, organizations }: Sizes): readonly string[] => [
  `insert into organizations (id, alias, created_at, created_by, updated_at, updated_by)
   select 'org-' || i, 'Org ' || i, ${stamps} from generate_series(1, ${organizations}) i`,
  `insert into users (id, email, role, organization_id, spend, created_at, created_by, updated_at, updated_by)
   select 'user-' || i, 'person' || i || '@example.com',
          case when i % 100 = 0 then 'proxy_admin_viewer' else 'internal_user' end,
          'org-' || (1 + i % ${organizations}), (i * 7919::bigint) % 1000003, ${stamps} from generate_series(1, ${users}) i`,
  `insert into users (id, email, role, created_at, created_by, updated_at, updated_by)
   select 'guest-' || i, 'guest' || i || '@example.com', 'internal_user', ${stamps} from generate_series(1, ${guests}) i`,
  `insert into organization_members (organization_id, user_id, role, created_at)
   select 'org-' || (1 + i % ${organizations}), 'user-' || i, 'internal_user', now() from generate_series(1, ${users}) i`,
  `insert into teams (id, alias, organization_id, max_budget, spend, created_at, created_by, updated_at, updated_by)
   select 'team-' || i, 'Team ' || i, 'org-' || (1 + i % ${organizations}), 1000000000000, (i * 7919::bigint) % 1000003, ${stamps}
   from generate_series(1, ${teams}) i`,
  `insert into teams (id, alias, created_at, created_by, updated_at, updated_by) select '${crowd}', '${crowd}', ${stamps} from generate_series(1, 1) i`,
  `insert into team_members (team_id, user_id, role, created_at)
   select 'team-' || (1 + (i + j * 31) % ${teams}), 'user-' || i, case when j = 0 then 'admin' else 'user' end, now()
   from generate_series(1, ${users}) i, generate_series(0, 4) j on conflict do nothing`,
  `insert into keys (id, token, name, alias, team_id, user_id, organization_id, models, metadata, max_budget, spend, expires_at,
                     created_at, created_by, updated_at, updated_by)
   select gen_random_uuid()::text, encode(sha256(('key-' || i)::bytea), 'hex'), 'sk-gw1_…' || lpad((i % 10000)::text, 4, '0'),
          'key-' || i, case when i % 10 = 3 then '${crowd}' else 'team-' || (1 + i % ${teams}) end, 'user-' || (1 + i % ${users}),
          case when i % 3 = 0 then 'org-' || (1 + i % ${organizations}) end, '{gpt-4o,openai/*}',
          jsonb_build_object('n', i), 50000000000, (i * 7919::bigint) % 1000003,
          case when i % 2 = 0 then now() + interval '90 days' end, now() - (i || ' seconds')::interval,
          case when i % 5 = 1 then '${maker}' else 'bench' end, now(), 'bench'
   from generate_series(1, ${keys}) i`,
  `insert into deleted_keys (id, token, alias, team_id, user_id, created_at, record, deleted_at, deleted_by)
   select k.id || '-gone', md5(k.id) || md5(k.token), k.alias, k.team_id, k.user_id, k.created_at,
          jsonb_build_object('key_alias', k.alias), k.created_at, 'bench'
   from keys k limit ${Math.round(keys / 10)}`,
];

/** Fills the database as no API could in a minute, and has the planner look at what is there now. */
export async function seed(pool: Pool, size: Sizes): Promise<Site> {
  const client = await pool.connect();
  try {
    await client.query('set search_path to gatewayctl');
    for (const statement of statements(size)) await client.query(statement);
    await client.query('vacuum (analyze)');
    await client.query('reset search_path');
    const middle = Math.round(size.keys / 2);
    const { rows } = await client.query<{ hash: string }>(`select encode(sha256($1::bytea), 'hex') as hash`, [
      `key-${middle}`,
    ]);
    return {
      team: `team-${1 + (middle % size.teams)}`,
      user: `user-${1 + (middle % size.users)}`,
      organization: 'org-1',
      alias: `key-${middle}`,
      hash: rows[0]?.hash ?? '',
      part: `person${Math.round(size.users / 2)}`,
      crowd,
      maker,
    };
  } finally {
    client.release();
  }
}

/**
 * Changes a key in every page of the table, as booked calls do, and keeps vacuum away: no index alone can tell any more
 * which of its entries still count.
 */
export async function unsettle(pool: Pool): Promise<void> {
  await pool.query('alter table gatewayctl.keys set (autovacuum_enabled = off)');
  await pool.query(
    `update gatewayctl.keys set spend = spend + 1 where ctid = any (array(
       select format('(%s,1)', page)::tid
         from generate_series(0, pg_relation_size('gatewayctl.keys') / current_setting('block_size')::int - 1) page))`,
  );
}

export async function settle(pool: Pool): Promise<void> {
  await pool.query('alter table gatewayctl.keys reset (autovacuum_enabled)');
  await pool.query('vacuum (analyze) gatewayctl.keys');
}
