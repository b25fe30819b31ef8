import { type FilterQuery, raw } from '@mikro-orm/core';
import type { QBFilterQuery } from '@mikro-orm/postgresql';
import { count, totalWith } from '../db/count.ts';
import { SCHEMA } from '../db/schema.ts';
import { given, type Work } from '../db/work.ts';
import type { Role } from '../kernel/operation.ts';
import { offsetOf, type Page } from '../kernel/page.ts';
import { User } from './user.entity.ts';
import type { userSorts } from './user.fields.ts';

const columns = {
  user_id: 'id',
  user_email: 'email',
  created_at: 'createdAt',
  spend: 'spend',
  user_alias: 'alias',
  user_role: 'role',
} as const;

export interface UserFilter extends Page {
  role?: Role | undefined;
  userIds?: string[] | undefined;
  ssoUserIds?: string[] | undefined;
  userEmail?: string | undefined;
  team?: string | undefined;
  organizationIds?: string[] | undefined;
  sortBy: (typeof userSorts)[number];
  sortOrder: 'asc' | 'desc';
}

export interface UserCounts {
  readonly keys: number;
  readonly teams: number;
}

/** Lists users as far as the caller may know of them: all, those of the caller's organizations, or the caller alone. */
export class UserList {
  readonly #work: Work;

  constructor(work: Work) {
    this.#work = work;
  }

  async list({ page, size, sortBy, sortOrder, ...filter }: UserFilter): Promise<{ users: User[]; total: number }> {
    const where = await this.#where(filter);
    const column = columns[sortBy];
    const { em } = this.#work;
    const users = await em.find(User, where, {
      // The id follows the direction, so that an index can be read either way.
      orderBy: column === 'id' ? { id: sortOrder } : { [column]: sortOrder, id: sortOrder },
      limit: size,
      offset: offsetOf({ page, size }),
    });
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the builder takes every filter that `find` takes
    const condition = where as QBFilterQuery<User>;
    const { sql: rows, params: values } = em.createQueryBuilder(User, 'u').select(raw('1')).where(condition).toQuery();
    return { users, total: totalWith(await count(em, { rows, values }), { page, size }, users.length) };
  }

  /** Keys and memberships of users: one statement, however many users. */
  async counts(users: readonly User[]): Promise<ReadonlyMap<string, UserCounts>> {
    const rows = await this.#work.em.execute<{ id: string; keys: string; teams: string }[]>(
      `select u.id, (select count(*) from ${SCHEMA}.keys k where k.user_id = u.id) as keys,
              (select count(*) from ${SCHEMA}.team_members m where m.user_id = u.id) as teams
       from jsonb_array_elements_text(?::jsonb) as u (id)`,
      [JSON.stringify(users.map(({ id }) => id))],
    );
    return new Map(rows.map(({ id, keys, teams }) => [id, { keys: Number(keys), teams: Number(teams) }]));
  }

  async #where({
    userEmail,
    team,
    organizationIds,
    ...filter
  }: Omit<UserFilter, 'page' | 'size' | 'sortBy' | 'sortOrder'>): Promise<FilterQuery<User>> {
    const scope = await this.#scope();
    const asked: FilterQuery<User> = given({
      role: filter.role,
      id: filter.userIds && { $in: filter.userIds },
      ssoUserId: filter.ssoUserIds && { $in: filter.ssoUserIds },
    });
    return {
      $and: [
        asked,
        ...(scope ? [scope] : []),
        ...(userEmail ? [{ [lowerEmail()]: { $like: `%${escapeLike(userEmail.toLowerCase())}%` } }] : []),
        ...(team === undefined ? [] : [inTeam(team)]),
        ...(organizationIds ? [inOrganizations(organizationIds)] : []),
      ],
    };
  }

  async #scope(): Promise<FilterQuery<User> | undefined> {
    const { authority } = this.#work;
    if (authority.seesAll) return undefined;
    const organizations = await authority.administeredOrganizations();
    const own: FilterQuery<User> = { id: authority.userId ?? '' };
    if (organizations.length === 0) return own;
    return {
      $or: [own, { $and: [inOrganizations(organizations), { role: { $nin: ['proxy_admin', 'proxy_admin_viewer'] } }] }],
    };
  }
}

const inTeam = (team: string): FilterQuery<User> => ({
  [raw(
    (alias) => `exists (select 1 from ${SCHEMA}.team_members m where m.user_id = ${alias}.id and m.team_id = ?)`,
    [team],
  )]: [],
});

const inOrganizations = (ids: readonly string[]): FilterQuery<User> => ({
  [raw(
    (alias) =>
      `exists (select 1 from ${SCHEMA}.organization_members m where m.user_id = ${alias}.id and m.organization_id in (select jsonb_array_elements_text(?::jsonb)))`,
    [JSON.stringify(ids)],
  )]: [],
});

/** Addresses are one whatever their case; both indexes are on this expression. */
export const lowerEmail = () => raw((alias) => `lower(${alias}.email)`);

/** `%`, `_` and `\` are themselves: a search for `%%%%` must not become a scan that never ends (CVE-2026-25591). */
export const escapeLike = (text: string): string => text.replace(/[\\%_]/g, '\\$&');
