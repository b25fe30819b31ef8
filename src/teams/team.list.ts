import type { FilterQuery } from '@mikro-orm/core';
import { given, type Work } from '../db/work.ts';
import { GatewayError } from '../kernel/errors.ts';
import { offsetOf, type Page } from '../kernel/page.ts';
import { Team, TeamMember } from './team.entity.ts';
import type { teamSorts } from './team.fields.ts';

const columns = { created_at: 'createdAt', team_alias: 'alias', spend: 'spend' } as const;

export interface TeamFilter extends Page {
  teamId?: string | undefined;
  teamAlias?: string | undefined;
  /** `default_organization` is LiteLLM's name for none. */
  organizationId?: string | undefined;
  userId?: string | undefined;
  sortBy: (typeof teamSorts)[number];
  sortOrder: 'asc' | 'desc';
}

/** Teams one user belongs to: the most a list of ids is made of. */
const TEAMS_AT_MOST = 10_000;

/** Lists teams as far as the caller may know of them. */
export class TeamList {
  readonly #work: Work;

  constructor(work: Work) {
    this.#work = work;
  }

  async list({ page, size, sortBy, sortOrder, ...filter }: TeamFilter): Promise<{ teams: Team[]; total: number }> {
    const where = await this.#where(filter);
    const [teams, total] = await this.#work.em.findAndCount(Team, where, {
      orderBy: { [columns[sortBy]]: sortOrder, id: 'asc' },
      limit: size,
      offset: offsetOf({ page, size }),
    });
    return { teams, total };
  }

  async of(userId: string, limit: number): Promise<Team[]> {
    const ids = await this.#teamIdsOf(userId);
    return this.#work.em.find(Team, { id: { $in: ids } }, { orderBy: { id: 'asc' }, limit });
  }

  async #where({
    teamId,
    teamAlias,
    organizationId,
    userId,
  }: Omit<TeamFilter, 'page' | 'size' | 'sortBy' | 'sortOrder'>) {
    const isNone = organizationId === 'default_organization';
    const sets = [await this.#scope(userId), userId === undefined ? undefined : await this.#teamIdsOf(userId)];
    const conditions: FilterQuery<Team>[] = sets.flatMap((ids) => (ids ? [{ id: { $in: ids } }] : []));
    const asked: FilterQuery<Team> = given({
      id: teamId,
      alias: teamAlias,
      organizationId: isNone ? null : organizationId,
    });
    return { $and: [asked, ...conditions] };
  }

  /** Ids of the teams the caller may know of; undefined for all. */
  async #scope(userId: string | undefined): Promise<string[] | undefined> {
    const { authority } = this.#work;
    if (authority.seesAll) return undefined;
    const administered = await authority.administeredTeams();
    const isOwn = userId === undefined || userId === authority.userId;
    if (!isOwn && !(await authority.administersUser(userId))) throw onlyOwn(authority.role);
    return [...new Set([...administered, ...(await authority.memberTeams())])];
  }

  async #teamIdsOf(userId: string): Promise<string[]> {
    const members = await this.#work.em.find(TeamMember, { userId }, { limit: TEAMS_AT_MOST, fields: ['teamId'] });
    return members.map(({ teamId }) => teamId);
  }
}

const onlyOwn = (role: string) =>
  new GatewayError(
    'forbidden',
    'auth_error',
    `Only admin users can query all teams/other teams. Your user role=${role}`,
    { param: 'user_id', hint: 'Leave user_id out to see your own teams.' },
  );
