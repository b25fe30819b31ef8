import { count, totalWith } from '../db/count.ts';
import { SCHEMA } from '../db/schema.ts';
import type { Work } from '../db/work.ts';
import { GatewayError } from '../kernel/errors.ts';
import { offsetOf, type Page } from '../kernel/page.ts';
import { Team } from './team.entity.ts';
import type { teamSorts } from './team.fields.ts';

const columns = { created_at: 'created_at', team_alias: 'alias', spend: 'spend' } as const;

/** LiteLLM's name for the teams of no organization. */
const NO_ORGANIZATION = 'default_organization';

interface Filter {
  teamId?: string | undefined;
  teamAlias?: string | undefined;
  /** `default_organization` is none. */
  organizationId?: string | undefined;
  userId?: string | undefined;
}

export interface TeamFilter extends Filter, Page {
  sortBy: (typeof teamSorts)[number];
  sortOrder: 'asc' | 'desc';
}

/** Conditions on a team `t`, with their values. */
type Conditions = readonly (readonly [sql: string, ...values: unknown[]])[];

/** Lists teams as far as the caller may know of them. */
export class TeamList {
  readonly #work: Work;

  constructor(work: Work) {
    this.#work = work;
  }

  async list({ sortBy, sortOrder, ...filter }: TeamFilter): Promise<{ teams: Team[]; total: number }> {
    const { em } = this.#work;
    const conditions = [...asked(filter), ...(await this.#scope(filter.userId))];
    const where = conditions.length > 0 ? `where ${conditions.map(([sql]) => sql).join(' and ')}` : '';
    const values = conditions.flatMap(([, ...each]) => each);
    const rows = await em.execute<{ id: string }[]>(
      `select t.id from ${SCHEMA}.teams t ${where}
        order by t.${columns[sortBy]} ${sortOrder}, t.id limit ? offset ?`,
      [...values, filter.size, offsetOf(filter)],
    );
    const counted = await count(em, { rows: `select 1 from ${SCHEMA}.teams t ${where}`, values });
    return { teams: await this.#inOrder(rows.map(({ id }) => id)), total: totalWith(counted, filter, rows.length) };
  }

  async of(userId: string, most: number): Promise<Team[]> {
    const rows = await this.#work.em.execute<{ id: string }[]>(
      `select team_id as id from ${SCHEMA}.team_members where user_id = ? order by team_id limit ?`,
      [userId, most],
    );
    return this.#inOrder(rows.map(({ id }) => id));
  }

  async #inOrder(ids: readonly string[]): Promise<Team[]> {
    const found = await this.#work.em.find(Team, { id: { $in: [...ids] } });
    const byId = new Map(found.map((team) => [team.id, team]));
    return ids.flatMap((id) => byId.get(id) ?? []);
  }

  /** The teams the caller may know of: all, or those it administers or belongs to. */
  async #scope(userId: string | undefined): Promise<Conditions> {
    const { authority } = this.#work;
    if (authority.seesAll) return [];
    const isOwn = userId === undefined || userId === authority.userId;
    if (!isOwn && !(await authority.administersUser(userId))) throw onlyOwn(authority.role);
    const ids = [...(await authority.administeredTeams()), ...(await authority.memberTeams())];
    return [['t.id in (select jsonb_array_elements_text(?::jsonb))', JSON.stringify(ids)]];
  }
}

function asked({ teamId, teamAlias, organizationId, userId }: Filter): Conditions {
  return [
    ...(teamId === undefined ? [] : [['t.id = ?', teamId] as const]),
    ...(teamAlias === undefined ? [] : [['t.alias = ?', teamAlias] as const]),
    ...(organizationId === undefined || organizationId === NO_ORGANIZATION
      ? []
      : [['t.organization_id = ?', organizationId] as const]),
    ...(organizationId === NO_ORGANIZATION ? [['t.organization_id is null'] as const] : []),
    ...(userId === undefined
      ? []
      : [[`t.id in (select m.team_id from ${SCHEMA}.team_members m where m.user_id = ?)`, userId] as const]),
  ];
}

const onlyOwn = (role: string) =>
  new GatewayError(
    'forbidden',
    'auth_error',
    `Only admin users can query all teams/other teams. Your user role=${role}`,
    { param: 'user_id', hint: 'Leave user_id out to see your own teams.' },
  );
