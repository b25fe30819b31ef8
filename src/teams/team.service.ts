import { randomUUID } from 'node:crypto';
import { type FilterQuery, LockMode, UniqueConstraintViolationException } from '@mikro-orm/core';
import type { AuditAction, AuditService } from '../audit/audit.service.ts';
import { announce } from '../db/notify.ts';
import { createStamp, given, updateStamp, type Work } from '../db/work.ts';
import { GatewayError } from '../kernel/errors.ts';
import { requireChange } from '../kernel/fields.ts';
import { offsetOf, type Page } from '../kernel/page.ts';
import { User } from '../users/user.entity.ts';
import { Team, TeamMember } from './team.entity.ts';
import { describeTeam, encodeTeam, type TeamWithMembers } from './team.wire.ts';

export interface NewTeam {
  teamId?: string | null | undefined;
  teamAlias?: string | null | undefined;
  organizationId?: string | null | undefined;
  models: string[];
  metadata: Record<string, unknown>;
  maxBudget?: bigint | null | undefined;
  blocked: boolean;
}

export type TeamChanges = { [K in keyof Omit<NewTeam, 'teamId'>]?: NewTeam[K] | undefined };

export interface TeamFilter extends Page {
  teamId?: string | undefined;
  teamAlias?: string | undefined;
  organizationId?: string | undefined;
  userId?: string | undefined;
  sortBy: 'created_at' | 'team_alias';
  sortOrder: 'asc' | 'desc';
}

export class TeamService {
  readonly #work: Work;
  readonly #audit: AuditService;

  constructor(work: Work, audit: AuditService) {
    this.#work = work;
    this.#audit = audit;
  }

  async create({ teamId, teamAlias, organizationId, ...rest }: NewTeam): Promise<Team> {
    const team = this.#work.em.create(Team, {
      ...rest,
      id: teamId ?? randomUUID(),
      alias: teamAlias ?? null,
      organizationId: organizationId ?? null,
      maxBudget: rest.maxBudget ?? null,
      spend: 0n,
      gen: 1n,
      ...createStamp(this.#work),
    });
    await this.#flush(team);
    await this.#changed(team, 'created');
    return team;
  }

  /** By id or, when no team has that id, by alias. */
  async get(reference: string): Promise<Team> {
    const { em } = this.#work;
    const team = (await em.findOne(Team, { id: reference })) ?? (await em.findOne(Team, { alias: reference }));
    if (team) return team;
    throw new GatewayError('notFound', 'not_found_error', `Team not found, passed team_id=${reference}`, {
      param: 'team_id',
      hint: 'Which teams there are: gatewayctl team list',
    });
  }

  async lock(reference: string): Promise<Team> {
    const { id } = await this.get(reference);
    return this.#work.em.findOneOrFail(Team, { id }, { lockMode: LockMode.PESSIMISTIC_WRITE, refresh: true });
  }

  /** Each once, however often and by whatever names it was named; in one order, so that two deletions cannot lock each other out. */
  async lockAll(references: readonly string[]): Promise<Team[]> {
    const ids = new Set<string>();
    for (const reference of references) ids.add((await this.get(reference)).id);
    const teams: Team[] = [];
    for (const id of [...ids].toSorted()) teams.push(await this.lock(id));
    return teams;
  }

  async update(reference: string, { teamAlias, ...rest }: TeamChanges): Promise<Team> {
    const changes = { alias: teamAlias, ...rest };
    requireChange(changes);
    const team = await this.lock(reference);
    return this.#apply(team, changes, 'updated');
  }

  async setBlocked(reference: string, blocked: boolean): Promise<Team> {
    return this.#apply(await this.lock(reference), { blocked }, blocked ? 'blocked' : 'unblocked');
  }

  /** The caller has dealt with the team's keys; memberships go with the team. */
  async remove(team: Team): Promise<void> {
    await this.#changed(team, 'deleted', await this.#encode(team));
    this.#work.em.remove(team);
    await this.#work.em.flush();
  }

  async list({ page, size, sortBy, sortOrder, ...filter }: TeamFilter): Promise<{ teams: Team[]; total: number }> {
    const memberOf = filter.userId === undefined ? undefined : await this.#teamIdsOf(filter.userId);
    const where: FilterQuery<Team> = given({
      id: memberOf ? { $in: memberOf.filter((id) => !filter.teamId || id === filter.teamId) } : filter.teamId,
      alias: filter.teamAlias,
      organizationId: filter.organizationId,
    });
    const [teams, total] = await this.#work.em.findAndCount(Team, where, {
      orderBy: { [sortBy === 'team_alias' ? 'alias' : 'createdAt']: sortOrder, id: 'asc' },
      limit: size,
      offset: offsetOf({ page, size }),
    });
    return { teams, total };
  }

  async of(userId: string): Promise<Team[]> {
    return this.#work.em.find(Team, { id: { $in: await this.#teamIdsOf(userId) } }, { orderBy: { id: 'asc' } });
  }

  /** Teams with their members: two statements, however many teams. */
  async withMembers(teams: readonly Team[]): Promise<TeamWithMembers[]> {
    const { em } = this.#work;
    const teamIds = teams.map(({ id }) => id);
    const members = await em.find(
      TeamMember,
      { teamId: { $in: teamIds } },
      { orderBy: { createdAt: 'asc', userId: 'asc' } },
    );
    const users = await em.find(User, { id: { $in: members.map(({ userId }) => userId) } });
    const emails = new Map(users.map(({ id, email }) => [id, email ?? null]));
    return teams.map((team) => ({
      team,
      members: members
        .filter(({ teamId }) => teamId === team.id)
        .map((member) => ({ member, email: emails.get(member.userId) ?? null })),
    }));
  }

  async isMember(teamId: string, userId: string): Promise<boolean> {
    return (await this.#work.em.count(TeamMember, { teamId, userId })) > 0;
  }

  async addMember(team: Team, user: User, role: 'admin' | 'user'): Promise<TeamMember> {
    const { em, now } = this.#work;
    if (await this.isMember(team.id, user.id)) {
      throw new GatewayError(
        'conflict',
        'team_member_already_in_team',
        `User ${user.id} is already in team ${team.id}`,
        {
          param: 'user_id',
          status: 400,
          hint: `Change the role instead: gatewayctl team member update ${team.alias ?? team.id} ${user.id} --role ${role}`,
        },
      );
    }
    const member = em.create(TeamMember, {
      teamId: team.id,
      userId: user.id,
      role,
      maxBudget: null,
      spend: 0n,
      createdAt: now,
    });
    await em.flush();
    this.#audit.record({ action: 'created', object: 'team_member', id: `${team.id}/${user.id}`, after: { role } });
    return member;
  }

  async updateMember(team: Team, userId: string, role: 'admin' | 'user'): Promise<TeamMember> {
    const member = await this.#member(team, userId);
    const before = { role: member.role };
    member.role = role;
    this.#audit.record({
      action: 'updated',
      object: 'team_member',
      id: `${team.id}/${userId}`,
      before,
      after: { role },
    });
    await this.#work.em.flush();
    return member;
  }

  async removeMember(team: Team, userId: string): Promise<void> {
    const member = await this.#member(team, userId);
    this.#audit.record({
      action: 'deleted',
      object: 'team_member',
      id: `${team.id}/${userId}`,
      before: { role: member.role },
    });
    this.#work.em.remove(member);
    await this.#work.em.flush();
  }

  async #member(team: Team, userId: string): Promise<TeamMember> {
    const member = await this.#work.em.findOne(TeamMember, { teamId: team.id, userId });
    if (member) return member;
    throw new GatewayError('notFound', 'not_found_error', `User ${userId} is not in team ${team.alias ?? team.id}`, {
      param: 'user_id',
      // LiteLLM answers 400 for a member that is not there.
      status: 400,
    });
  }

  async #teamIdsOf(userId: string): Promise<string[]> {
    const members = await this.#work.em.find(TeamMember, { userId }, { limit: 10_000 });
    return members.map(({ teamId }) => teamId);
  }

  async #apply(
    team: Team,
    changes: Omit<TeamChanges, 'teamAlias'> & { alias?: string | null | undefined },
    action: AuditAction,
  ): Promise<Team> {
    const before = await this.#encode(team);
    this.#work.em.assign(team, { ...given(changes), gen: team.gen + 1n, ...updateStamp(this.#work) });
    await this.#flush(team);
    await this.#changed(team, action, before);
    return team;
  }

  async #changed(team: Team, action: AuditAction, before?: unknown): Promise<void> {
    await announce(this.#work, { entity: 'team', id: team.id });
    const after = action === 'deleted' ? undefined : await this.#encode(team);
    this.#audit.record({ action, object: 'team', id: team.id, before, after });
  }

  async #encode(team: Team): Promise<unknown> {
    const [whole] = await this.withMembers([team]);
    return whole && encodeTeam(describeTeam(whole));
  }

  async #flush(team: Team): Promise<void> {
    try {
      await this.#work.em.flush();
    } catch (cause) {
      if (!(cause instanceof UniqueConstraintViolationException)) throw cause;
      const isAlias = /teams_alias/.test(cause.message);
      const message = isAlias
        ? `Team with alias '${team.alias}' already exists.`
        : `Team id = ${team.id} already exists. Please use a different team id.`;
      throw new GatewayError('conflict', 'bad_request_error', message, {
        param: isAlias ? 'team_alias' : 'team_id',
        // LiteLLM answers 400 where something exists already, and its clients' tests look for it.
        status: 400,
        hint: `Change the team there is: gatewayctl team update ${isAlias ? team.alias : team.id}`,
        cause,
      });
    }
  }
}
