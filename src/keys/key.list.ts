import { type Alternative, Conditions } from '../db/conditions.ts';
import { count, totalWith } from '../db/count.ts';
import { SCHEMA } from '../db/schema.ts';
import { sqlArray } from '../db/sql-array.ts';
import type { Work } from '../db/work.ts';
import { after, type Duration } from '../kernel/duration.ts';
import { GatewayError } from '../kernel/errors.ts';
import { offsetOf, type Page } from '../kernel/page.ts';
import type { TeamService } from '../teams/team.service.ts';
import { escapeLike } from '../users/user.list.ts';
import type { KeyAccess } from './key.access.ts';
import { DeletedKey, Key } from './key.entity.ts';
import { notYourKeys, unknownTeam } from './key.errors.ts';
import { isRotationDue } from './key.state.ts';

export const keyOrders = ['created_at', 'updated_at', 'key_alias', 'spend', 'max_budget', 'expires'] as const;

export interface KeyFilter extends Page {
  teamId?: string | undefined;
  userId?: string | undefined;
  organizationId?: string | undefined;
  keyAlias?: string | undefined;
  keyHash?: string | undefined;
  tag?: string | undefined;
  status?: 'active' | 'expired' | 'blocked' | 'deleted' | undefined;
  expiringIn?: Duration | undefined;
  rotationDue?: boolean | undefined;
  includeTeamKeys: boolean;
  includeCreatedByKeys: boolean;
  sortBy?: (typeof keyOrders)[number] | undefined;
  sortOrder: 'asc' | 'desc';
}

/** What of a filter says whose keys are wanted. */
type Scope = Partial<
  Pick<KeyFilter, 'teamId' | 'userId' | 'organizationId' | 'includeTeamKeys' | 'includeCreatedByKeys'>
>;

const columns = {
  created_at: 'created_at',
  updated_at: 'updated_at',
  key_alias: 'alias',
  spend: 'spend',
  max_budget: 'max_budget',
  expires: 'expires_at',
} as const satisfies Record<(typeof keyOrders)[number], string>;

/**
 * Up to here all that was found is sorted; above it the index of the order is read until the page is full. PostgreSQL
 * takes the second for cheaper much earlier, because it does not know what goes together: that keys which have expired
 * are the old ones, say. Of 500,000 keys it then read 250,000 others first (900 ms) to find 24,000 (sorted in 20 ms).
 */
const SORTED_AT_MOST = 25_000;

/** Lists of keys in plain SQL: each filter and each order is an index of 0001 or 0006. */
export class KeyList {
  readonly #work: Work;
  readonly #access: KeyAccess;
  readonly #teams: TeamService;

  constructor(work: Work, access: KeyAccess, teams: TeamService) {
    this.#work = work;
    this.#access = access;
    this.#teams = teams;
  }

  async keys(filter: KeyFilter): Promise<{ keys: Key[]; total: number }> {
    const { em } = this.#work;
    const conditions = await this.#conditions(filter);
    const from = `from ${SCHEMA}.keys k ${conditions.where}`;
    const counted = await count(em, conditions.countedIn('keys'));
    const column = columns[filter.sortBy ?? 'created_at'];
    const order = orderOf(filter);
    const page = `order by ${order} limit ? offset ?`;
    const isFew = conditions.where !== '' && counted.rows <= SORTED_AT_MOST;
    const rows = await em.execute<object[]>(
      isFew
        ? `select k.* from ${SCHEMA}.keys k
           where k.id in (select k.id from (select k.id, k.${column} ${from} offset 0) k ${page}) order by ${order}`
        : `select k.* ${from} ${page}`,
      [...conditions.values, filter.size, offsetOf(filter)],
    );
    return { keys: rows.map((row) => em.map(Key, row)), total: totalWith(counted, filter, rows.length) };
  }

  /** The newest keys of teams, so many of each, as far as the caller may read them. */
  async newestOf(teamIds: readonly string[], most: number): Promise<Key[]> {
    const { em } = this.#work;
    const conditions = new Conditions();
    conditions.and('k.team_id = t.id');
    await this.#scope(conditions, { includeTeamKeys: true });
    const rows = await em.execute<object[]>(
      `select k.* from unnest(?::text[]) t(id) cross join lateral (
         select k.* from ${SCHEMA}.keys k ${conditions.where} order by k.created_at desc, k.id limit ?) k`,
      [sqlArray(teamIds), ...conditions.values, most],
    );
    return rows.map((row) => em.map(Key, row));
  }

  /** The records of deleted keys, the last one first. */
  async deleted(filter: KeyFilter): Promise<{ deleted: DeletedKey[]; total: number }> {
    const { em, authority } = this.#work;
    requireOfDeleted(filter);
    const conditions = new Conditions();
    await this.#filterOwners(conditions, filter);
    const { teamId } = authority.scope;
    if (!authority.seesAll) conditions.and('k.user_id = ?', this.#requireUser());
    if (!authority.seesAll && teamId !== null) conditions.and('k.team_id = ?', teamId);
    const from = `from ${SCHEMA}.deleted_keys k ${conditions.where}`;
    const [at, id] = filter.sortOrder === 'desc' ? ['desc', 'asc'] : ['asc', 'desc'];
    const rows = await em.execute<object[]>(
      `select k.* ${from} order by k.deleted_at ${at}, k.id ${id} limit ? offset ?`,
      [...conditions.values, filter.size, offsetOf(filter)],
    );
    const counted = await count(em, conditions.countedIn('deleted_keys'));
    return { deleted: rows.map((row) => em.map(DeletedKey, row)), total: totalWith(counted, filter, rows.length) };
  }

  async aliases({ search, ...page }: Page & { search?: string | undefined }) {
    const { em } = this.#work;
    const conditions = await this.#conditions({
      includeTeamKeys: true,
      includeCreatedByKeys: false,
      sortOrder: 'asc',
      ...page,
    });
    conditions.and('k.alias is not null');
    if (search !== undefined) conditions.and('k.alias ilike ?', `%${escapeLike(search)}%`);
    const from = `from ${SCHEMA}.keys k ${conditions.where}`;
    const rows = await em.execute<{ alias: string }[]>(
      `select k.alias ${from} order by k.alias, k.id limit ? offset ?`,
      [...conditions.values, page.size, offsetOf(page)],
    );
    const counted = await count(em, conditions.countedIn('keys'));
    return { aliases: rows.map(({ alias }) => alias), total: totalWith(counted, page, rows.length) };
  }

  /** The users of keys, by id: what others in their teams may know of them. */
  async holders(keys: readonly Key[]) {
    const rows = await this.#work.em.execute<{ id: string; email: string | null; alias: string | null }[]>(
      `select id, email, alias from ${SCHEMA}.users where id = any (?::text[])`,
      [sqlArray(keys.flatMap(({ userId }) => userId ?? []))],
    );
    return new Map(rows.map(({ id, email, alias }) => [id, { userId: id, userEmail: email, userAlias: alias }]));
  }

  async #conditions(filter: KeyFilter): Promise<Conditions> {
    const { now } = this.#work;
    const conditions = new Conditions();
    await this.#filterOwners(conditions, filter);
    await this.#scope(conditions, filter);
    if (filter.rotationDue) conditions.and(isRotationDue, now, now);
    if (filter.tag !== undefined) conditions.and(`k.tags @> array[?]::text[] and k.tags <> '{}'`, filter.tag);
    if (filter.status === 'blocked') conditions.and('k.blocked');
    if (filter.status === 'expired') conditions.and('not k.blocked and k.expires_at <= ?', now);
    if (filter.status === 'active') conditions.and('not k.blocked and (k.expires_at is null or k.expires_at > ?)', now);
    if (filter.expiringIn) {
      conditions.and('k.expires_at > ? and k.expires_at <= ?', now, after(now, filter.expiringIn));
    }
    return conditions;
  }

  async #filterOwners(conditions: Conditions, filter: KeyFilter): Promise<void> {
    const { teamId, userId, organizationId, keyAlias, keyHash } = filter;
    if (teamId !== undefined) conditions.and('k.team_id = ?', await this.#team(teamId));
    if (organizationId !== undefined) conditions.and('k.organization_id = ?', organizationId);
    if (keyHash !== undefined) conditions.and('k.token = ?', keyHash);
    if (keyAlias?.includes('*')) conditions.and('k.alias like ?', escapeLike(keyAlias).replaceAll('*', '%'));
    else if (keyAlias !== undefined) conditions.and('k.alias = ?', keyAlias);
    if (userId === undefined) return;
    const wider: Alternative[] = [];
    if (this.#work.authority.seesAll && filter.includeCreatedByKeys) wider.push(['k.created_by = ?', userId]);
    if (this.#work.authority.seesAll && filter.includeTeamKeys) {
      wider.push(['k.team_id = any (?::text[])', sqlArray(await this.#teamsOf(userId))]);
    }
    conditions.either(['k.user_id = ?', userId], ...wider);
  }

  /** A key is in a list exactly when its caller may read it by itself. */
  async #scope(conditions: Conditions, filter: Scope): Promise<void> {
    const { authority } = this.#work;
    if (authority.seesAll) return;
    if (authority.userId === null) {
      conditions.and('k.id = ?', authority.keyId);
      return;
    }
    const isAsked = filter.includeTeamKeys || filter.teamId !== undefined || filter.organizationId !== undefined;
    const isOthers = filter.userId !== undefined && filter.userId !== authority.userId;
    if (isOthers && !isAsked) throw notYourKeys(filter.userId ?? '', authority.userId);
    const { teamId } = authority.scope;
    const parts = [teamId === null ? 'k.user_id = ?' : '(k.user_id = ? and k.team_id = ?)'];
    const values: unknown[] = [authority.userId, ...(teamId === null ? [] : [teamId])];
    if (isAsked || filter.includeCreatedByKeys) {
      const readable = `((k.team_id = any (?::text[]) or (k.team_id is null and k.organization_id = any (?::text[]))) and not exists (
        select 1 from ${SCHEMA}.users u where u.id = k.user_id and u.role in ('proxy_admin', 'proxy_admin_viewer')))`;
      parts.push(isAsked ? readable : `(k.created_by = ? and ${readable})`);
      const teams = [...(await authority.administeredTeams()), ...(await this.#permittedTeams())];
      values.push(
        ...(isAsked ? [] : [authority.userId]),
        sqlArray(teams),
        sqlArray(await authority.administeredOrganizations()),
      );
    }
    conditions.and(`(${parts.join(' or ')})`, ...values);
  }

  /** Teams that let their members see each other's keys. */
  async #permittedTeams(): Promise<string[]> {
    const { authority, em } = this.#work;
    const rows = await em.execute<{ id: string }[]>(
      `select id from ${SCHEMA}.teams where id = any (?::text[]) and '/key/list' = any (member_permissions)`,
      [sqlArray(await authority.memberTeams())],
    );
    return rows.map(({ id }) => id);
  }

  async #teamsOf(userId: string): Promise<string[]> {
    const rows = await this.#work.em.execute<{ id: string }[]>(
      `select team_id as id from ${SCHEMA}.team_members where user_id = ? limit 10000`,
      [userId],
    );
    return rows.map(({ id }) => id);
  }

  async #team(reference: string): Promise<string> {
    const { id } = await this.#teams.get(reference);
    if (await this.#access.knowsTeam(id)) return id;
    throw unknownTeam(reference);
  }

  #requireUser(): string {
    const { userId } = this.#work.authority;
    if (userId !== null) return userId;
    throw new GatewayError('forbidden', 'forbidden', 'The key of a service sees no deleted keys', { param: 'status' });
  }
}

/** Filters that ask what a key is doing now say nothing of one that is gone. */
function requireOfDeleted({ tag, expiringIn, rotationDue, sortBy }: KeyFilter): void {
  const isOf = {
    tag: tag !== undefined,
    expiring_in: expiringIn !== undefined,
    rotation_due: rotationDue === true,
    sort_by: sortBy !== undefined && sortBy !== 'created_at',
  };
  const [name] = Object.entries(isOf).find(([, isAsked]) => isAsked) ?? [];
  if (name === undefined) return;
  throw new GatewayError('invalid', 'invalid_request_error', `${name}: deleted keys are listed by their deletion`, {
    param: name,
  });
}

/** The id follows the column in the direction in which one index holds both. */
function orderOf({ sortBy = 'created_at', sortOrder }: KeyFilter): string {
  const isDown = sortOrder === 'desc';
  const idOrder = (sortBy === 'created_at') === isDown ? 'asc' : 'desc';
  return `k.${columns[sortBy]} ${isDown ? 'desc' : 'asc'}, k.id ${idOrder}`;
}
