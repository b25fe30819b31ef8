import { randomUUID } from 'node:crypto';
import { UniqueConstraintViolationException } from '@mikro-orm/core';
import type { AuditAction, AuditService } from '../audit/audit.service.ts';
import { announce } from '../db/notify.ts';
import { SCHEMA } from '../db/schema.ts';
import { windowSpend } from '../db/window-spend.ts';
import { actorName, createStamp, given, updateStamp, type Work } from '../db/work.ts';
import { type Duration, parseDuration } from '../kernel/duration.ts';
import { GatewayError } from '../kernel/errors.ts';
import { fieldNotAllowed, requireChange } from '../kernel/fields.ts';
import {
  type BudgetWindow,
  keptBudgetLimits,
  type LimitChanges,
  limitChanges,
  newLimits,
  type ThroughputType,
} from '../kernel/limits.ts';
import { memberDefaults, TeamAccess, teamGrant } from './team.access.ts';
import { DeletedTeam, Team, TeamMember } from './team.entity.ts';
import { membersShown } from './team.fields.ts';
import { type TeamFilter, TeamList } from './team.list.ts';
import { TeamLookup } from './team.lookup.ts';
import type { TeamStanding } from './team.policy.ts';
import { requireGuarantees, requireThroughput } from './team.throughput.ts';
import { bareTeam, describeTeam, encodeTeam, type TeamWithMembers } from './team.wire.ts';

type Maybe<T> = T | null | undefined;

export interface TeamChanges extends LimitChanges {
  teamAlias?: Maybe<string>;
  organizationId?: Maybe<string>;
  models?: string[] | undefined;
  metadata?: Record<string, unknown> | undefined;
  maxBudget?: Maybe<bigint>;
  budgetLimits?: Maybe<BudgetWindow[]>;
  rpmLimitType?: Maybe<ThroughputType>;
  tpmLimitType?: Maybe<ThroughputType>;
  modelAliases?: Maybe<Record<string, string>>;
  tags?: Maybe<string[]>;
  allowedPassthroughRoutes?: Maybe<string[]>;
  teamMemberPermissions?: Maybe<string[]>;
  teamMemberBudget?: Maybe<bigint>;
  teamMemberBudgetDuration?: Maybe<string>;
  teamMemberTpmLimit?: Maybe<number>;
  teamMemberRpmLimit?: Maybe<number>;
  teamMemberKeyDuration?: Maybe<string>;
  blocked?: boolean | undefined;
}

export interface NewTeam extends TeamChanges {
  teamId?: Maybe<string>;
}

export class TeamService {
  readonly #work: Work;
  readonly #audit: AuditService;
  readonly lookup: TeamLookup;
  readonly #list: TeamList;
  readonly access: TeamAccess;

  constructor(work: Work, audit: AuditService) {
    this.#work = work;
    this.#audit = audit;
    this.access = new TeamAccess(work);
    this.lookup = new TeamLookup(work, this.access);
    this.#list = new TeamList(work);
  }

  /** @throws GatewayError 400 when the id or the alias is taken, 403 when the caller may not make it so */
  async create({ teamId, ...fields }: NewTeam): Promise<Team> {
    const { authority } = this.#work;
    const organizationId = fields.organizationId ?? null;
    if (!(await authority.administersOrganization(organizationId))) throw notTheirs(organizationId);
    const team = this.#work.em.create(Team, {
      ...untouched,
      ...newLimits(fields),
      ...columnsOf(fields),
      id: teamId ?? randomUUID(),
      organizationId,
      spend: 0n,
      gen: 1n,
      ...createStamp(this.#work),
    });
    await this.access.requireNew(team);
    await this.#requireOwnNames(team);
    await requireThroughput(this.#work.em, team);
    await this.#flush(team);
    await this.#changed(team, 'created');
    return team;
  }

  get(reference: string): Promise<Team> {
    return this.lookup.get(reference);
  }

  /** The row as it is now, kept so until the transaction ends, when the caller is at least this to the team. */
  async lock(reference: string, least: TeamStanding): Promise<{ team: Team; standing: TeamStanding }> {
    const team = await this.lookup.lock(reference);
    return { team, standing: await this.access.require(team, least, reference) };
  }

  async lockAll(references: readonly string[], least: TeamStanding): Promise<Team[]> {
    const locked = await this.lookup.lockAll(references);
    for (const { team, reference } of locked) await this.access.require(team, least, reference);
    return locked.map(({ team }) => team);
  }

  async update(reference: string, changes: TeamChanges): Promise<Team> {
    requireChange(changes);
    const { team, standing } = await this.lock(reference, 'manager');
    const held = { before: teamGrant(team), softBudget: team.softBudget, members: memberDefaults(team) };
    const record = await this.#encode(team);
    this.#work.em.assign(team, { ...columnsOf(changes), gen: team.gen + 1n, ...updateStamp(this.#work) });
    await this.access.requireFields({ ...held, next: team, standing }, changes);
    if (changes.teamAlias) await this.#requireOwnNames(team);
    await requireThroughput(this.#work.em, team);
    await requireGuarantees(
      this.#work.em,
      team,
      (['tpm', 'rpm'] as const).filter((kind) => changes[`${kind}Limit`] !== undefined),
    );
    await this.#flush(team);
    await this.#changed(team, 'updated', record);
    return team;
  }

  async setBlocked(reference: string, blocked: boolean): Promise<Team> {
    const { team } = await this.lock(reference, 'organization');
    const record = await this.#encode(team);
    this.#work.em.assign(team, { blocked, gen: team.gen + 1n, ...updateStamp(this.#work) });
    await this.#flush(team);
    await this.#changed(team, blocked ? 'blocked' : 'unblocked', record);
    return team;
  }

  /** The caller has dealt with the team's keys; memberships go with the team. A record of it stays. */
  async remove(team: Team): Promise<void> {
    const { em, now, actor, changedBy } = this.#work;
    const record = await this.#encode(team);
    await this.#changed(team, 'deleted', record);
    em.create(DeletedTeam, {
      id: team.id,
      deletedAt: now,
      alias: team.alias ?? null,
      organizationId: team.organizationId ?? null,
      createdAt: team.createdAt,
      record,
      deletedBy: actorName(actor),
      deletedByApiKey: actor.type === 'key' ? actor.hash : null,
      litellmChangedBy: changedBy ?? null,
    });
    em.remove(team);
    await em.flush();
  }

  list(filter: TeamFilter): Promise<{ teams: Team[]; total: number }> {
    return this.#list.list(filter);
  }

  of(userId: string, limit: number): Promise<Team[]> {
    return this.#list.of(userId, limit);
  }

  /** What teams are called, by id: one statement, however many. */
  async aliasesOf(ids: readonly (string | null | undefined)[]): Promise<ReadonlyMap<string, string | null>> {
    const named = [...new Set(ids.filter((id) => id !== null && id !== undefined))];
    const teams = named.length === 0 ? [] : await this.#work.em.find(Team, { id: { $in: named } });
    return new Map(teams.map(({ id, alias }) => [id, alias ?? null]));
  }

  /** With what they have spent in the present periods of their budgets. */
  async withMembers(teams: readonly Team[], most?: number): Promise<TeamWithMembers[]> {
    const { em, now } = this.#work;
    const spent = await windowSpend(em, 'team', { spenders: teams, now });
    const wholes = await this.lookup.withMembers(teams, most);
    return wholes.map((whole) => Object.assign(whole, { spent: spent.get(whole.team.id) }));
  }

  /** Teams as the caller may see them: of one that it does not administer, no member but itself. */
  async shown(teams: readonly Team[], most?: number): Promise<(TeamWithMembers & { readonly isOpen: boolean })[]> {
    const open = await this.access.open(teams);
    const wholes = await this.withMembers(teams, most);
    const closed = teams.filter(({ id }) => !open.has(id)).map(({ id }) => id);
    const { userId } = this.#work.authority;
    const own = closed.length > 0 && userId !== null ? await this.lookup.own(closed, userId) : undefined;
    return wholes.map((whole) => {
      const isOpen = open.has(whole.team.id);
      return Object.assign(whole, { isOpen, members: isOpen ? whole.members : (own?.get(whole.team.id) ?? []) });
    });
  }

  /**
   * How long a key works that a member makes in a team and names no end for; undefined where the team says nothing, and for
   * whoever makes keys from above the team.
   */
  async keyDuration(team: Team): Promise<Duration | undefined> {
    const standing = await this.access.standing(team);
    const isMember = standing === 'member' || standing === 'manager';
    return isMember && team.memberKeyDuration ? parseDuration(team.memberKeyDuration) : undefined;
  }

  async isMember(teamId: string, userId: string): Promise<boolean> {
    return (await this.#work.em.count(TeamMember, { teamId, userId })) > 0;
  }

  /** A team as the caller may see it. */
  async describe(team: Team): Promise<ReturnType<typeof describeTeam>> {
    const [whole = bareTeam(team)] = await this.shown([team], membersShown.alone);
    return describeTeam(whole, this.#work.now);
  }

  /** Something about who belongs to the team has changed. */
  async touched(team: Team): Promise<void> {
    await announce(this.#work, { entity: 'team', id: team.id });
  }

  async #changed(team: Team, action: AuditAction, before?: unknown): Promise<void> {
    await announce(this.#work, { entity: 'team', id: team.id });
    const after = action === 'deleted' ? undefined : await this.#encode(team);
    this.#audit.record({ action, object: 'team', id: team.id, before, after });
  }

  async #encode(team: Team): Promise<unknown> {
    const [whole = bareTeam(team)] = await this.lookup.withMembers([team], membersShown.alone);
    return encodeTeam(describeTeam(whole, this.#work.now));
  }

  /** Teams are found by id or alias: one whose id is another's alias would get what is meant for that one. */
  async #requireOwnNames(team: Team): Promise<void> {
    const { id, alias } = team;
    const [other] = await this.#work.em.execute<{ id: string }[]>(
      `select id from ${SCHEMA}.teams where id <> ? and (alias = ? or id = ?) limit 1`,
      [id, id, alias ?? id],
    );
    if (other) throw taken(team, other.id === alias ? 'team_alias' : 'team_id');
  }

  async #flush(team: Team): Promise<void> {
    try {
      await this.#work.em.flush();
    } catch (cause) {
      if (!(cause instanceof UniqueConstraintViolationException)) throw cause;
      throw taken(team, /teams_alias/.test(cause.message) ? 'team_alias' : 'team_id', cause);
    }
  }
}

/** What a team is made with where nothing is said. */
const untouched = {
  models: [],
  aliases: {},
  tags: [],
  allowedPassthroughRoutes: [],
  metadata: {},
  budgetLimits: [],
  rpmLimitType: null,
  tpmLimitType: null,
  memberPermissions: [],
  blocked: false,
};

/** The fields as the entity keeps them. Only what was given is in the answer; null clears. */
function columnsOf(fields: TeamChanges) {
  return given({
    alias: fields.teamAlias,
    organizationId: fields.organizationId,
    models: fields.models,
    metadata: fields.metadata,
    maxBudget: fields.maxBudget,
    ...limitChanges(fields),
    budgetLimits: fields.budgetLimits === null ? [] : fields.budgetLimits && keptBudgetLimits(fields.budgetLimits),
    rpmLimitType: fields.rpmLimitType,
    tpmLimitType: fields.tpmLimitType,
    aliases: fields.modelAliases === null ? {} : fields.modelAliases,
    tags: fields.tags === null ? [] : fields.tags,
    allowedPassthroughRoutes: fields.allowedPassthroughRoutes === null ? [] : fields.allowedPassthroughRoutes,
    memberPermissions: fields.teamMemberPermissions === null ? [] : fields.teamMemberPermissions,
    memberMaxBudget: fields.teamMemberBudget,
    memberBudgetDuration: fields.teamMemberBudgetDuration,
    memberTpmLimit: fields.teamMemberTpmLimit,
    memberRpmLimit: fields.teamMemberRpmLimit,
    memberKeyDuration: fields.teamMemberKeyDuration,
    blocked: fields.blocked,
  });
}

const notTheirs = (organizationId: string | null) =>
  organizationId === null
    ? new GatewayError('forbidden', 'forbidden', 'Only administrators make teams without an organization', {
        param: 'organization_id',
        hint: 'Name an organization that you administer, or ask an administrator.',
      })
    : fieldNotAllowed('organizationId', 'only administrators, and those of the organization, make teams in it');

function taken(team: Team, param: 'team_alias' | 'team_id', cause?: unknown): GatewayError {
  const isAlias = param === 'team_alias';
  const message = isAlias
    ? `Team with alias '${team.alias}' already exists.`
    : `Team id = ${team.id} already exists. Please use a different team id.`;
  return new GatewayError('conflict', 'bad_request_error', message, {
    param,
    // LiteLLM answers 400 where something exists already, and its clients' tests look for it.
    status: 400,
    hint: `Change the team there is: gatewayctl team update ${isAlias ? team.alias : team.id}`,
    cause,
  });
}
