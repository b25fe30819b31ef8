import { LockMode } from '@mikro-orm/core';
import { SCHEMA } from '../db/schema.ts';
import type { Work } from '../db/work.ts';
import { type TeamAccess, unknownTeam } from './team.access.ts';
import { Team, type TeamMember } from './team.entity.ts';
import { membersShown } from './team.fields.ts';
import type { Membership, TeamWithMembers } from './team.wire.ts';

/** A list of ids as one parameter: MikroORM writes an array out as several, and an empty one as none at all. */
const ids = 'jsonb_array_elements_text(?::jsonb)';

/** A member as PostgreSQL answers it: amounts are text. Lists show thousands, and none of them is changed. */
interface ShownMember {
  readonly team_id: string;
  readonly user_id: string;
  readonly role: TeamMember['role'];
  readonly spend: string;
  readonly budget_id: string | null;
  readonly max_budget: string | null;
  readonly budget_duration: string | null;
  readonly tpm_limit: string | null;
  readonly rpm_limit: string | null;
  readonly created_at: Date | string;
  readonly user_email: string | null;
  /** The limits of the shared budget; null without one. */
  readonly shared: {
    readonly max_budget: string | null;
    readonly budget_duration: string | null;
    readonly tpm_limit: string | null;
    readonly rpm_limit: string | null;
  } | null;
}

const count = (text: string | null): number | null => (text === null ? null : Number(text));

const membershipOf = (row: ShownMember): Membership => ({
  member: {
    teamId: row.team_id,
    userId: row.user_id,
    role: row.role,
    spend: BigInt(row.spend),
    budgetId: row.budget_id,
    maxBudget: row.max_budget === null ? null : BigInt(row.max_budget),
    budgetDuration: row.budget_duration,
    tpmLimit: count(row.tpm_limit),
    rpmLimit: count(row.rpm_limit),
    createdAt: new Date(row.created_at),
  },
  email: row.user_email,
  shared: row.shared
    ? {
        maxBudget: row.shared.max_budget === null ? null : BigInt(row.shared.max_budget),
        budgetDuration: row.shared.budget_duration,
        tpmLimit: count(row.shared.tpm_limit),
        rpmLimit: count(row.shared.rpm_limit),
      }
    : undefined,
});

/** Finds teams by whatever names they go, as far as the caller may know of them. */
export class TeamLookup {
  readonly #work: Work;
  readonly #access: TeamAccess;

  constructor(work: Work, access: TeamAccess) {
    this.#work = work;
    this.#access = access;
  }

  /** By id or, when no team has that id, by alias; whether or not the caller may know of it. */
  async find(reference: string): Promise<Team | undefined> {
    const found = await this.#work.em.find(Team, { $or: [{ id: reference }, { alias: reference }] }, { limit: 2 });
    return found.find(({ id }) => id === reference) ?? found[0];
  }

  /** Who may not know of a team learns nothing from trying: the answer is that of a team that is not there. */
  async get(reference: string): Promise<Team> {
    const team = await this.find(reference);
    if (team && (await this.#access.mayRead(team))) return team;
    throw unknownTeam(reference);
  }

  async lock(reference: string): Promise<Team> {
    const found = await this.find(reference);
    if (!found) throw unknownTeam(reference);
    const locked = await this.#work.em.findOne(
      Team,
      { id: found.id },
      { lockMode: LockMode.PESSIMISTIC_WRITE, refresh: true },
    );
    if (locked) return locked;
    // Deleted between the look and the lock.
    throw unknownTeam(reference);
  }

  /** Each once, however often and by whatever names; in one order, so that two deletions cannot lock each other out. */
  async lockAll(references: readonly string[]): Promise<{ team: Team; reference: string }[]> {
    const named = new Map<string, string>();
    for (const reference of references) {
      const team = await this.find(reference);
      if (!team) throw unknownTeam(reference);
      named.set(team.id, named.get(team.id) ?? reference);
    }
    const locked: { team: Team; reference: string }[] = [];
    for (const id of [...named.keys()].toSorted()) {
      locked.push({ team: await this.lock(id), reference: named.get(id) ?? id });
    }
    return locked;
  }

  /** Teams with their first members and with counts: two statements, however many teams. */
  async withMembers(teams: readonly Team[], most: number = membersShown.inList): Promise<TeamWithMembers[]> {
    const teamIds = teams.map(({ id }) => id);
    const shown = await this.#memberships(
      `from ${ids} as t (id) cross join lateral (
         select * from ${SCHEMA}.team_members where team_id = t.id order by created_at, user_id limit ?
       ) m`,
      [JSON.stringify(teamIds), most],
    );
    const counts = await this.#counts(teamIds);
    return teams.map((team) => ({
      team,
      members: shown.get(team.id) ?? [],
      membersCount: counts.get(team.id)?.members ?? 0,
      keysCount: counts.get(team.id)?.keys ?? 0,
    }));
  }

  /** What one user is in each of these teams. */
  async own(teamIds: readonly string[], userId: string): Promise<ReadonlyMap<string, Membership[]>> {
    return this.#memberships(`from ${SCHEMA}.team_members m where m.user_id = ? and m.team_id in (select ${ids})`, [
      userId,
      JSON.stringify(teamIds),
    ]);
  }

  /** @param from names memberships `m` */
  async #memberships(from: string, values: readonly unknown[]): Promise<ReadonlyMap<string, Membership[]>> {
    const rows = await this.#work.em.execute<ShownMember[]>(
      `select shown.*, u.email as user_email, case when b.id is not null then json_build_object(
                'max_budget', b.max_budget::text, 'budget_duration', b.budget_duration,
                'tpm_limit', b.tpm_limit::text, 'rpm_limit', b.rpm_limit::text) end as shared
       from (select m.* ${from}) shown
       join ${SCHEMA}.users u on u.id = shown.user_id
       left join ${SCHEMA}.budgets b on b.id = shown.budget_id order by shown.created_at, shown.user_id`,
      [...values],
    );
    return Map.groupBy(rows.map(membershipOf), ({ member }) => member.teamId);
  }

  async #counts(teamIds: readonly string[]): Promise<ReadonlyMap<string, { members: number; keys: number }>> {
    const rows = await this.#work.em.execute<{ id: string; members: string; keys: string }[]>(
      `select t.id, (select count(*) from ${SCHEMA}.team_members m where m.team_id = t.id) as members,
              (select count(*) from ${SCHEMA}.keys k where k.team_id = t.id) as keys
       from ${ids} as t (id)`,
      [JSON.stringify(teamIds)],
    );
    return new Map(rows.map(({ id, members, keys }) => [id, { members: Number(members), keys: Number(keys) }]));
  }
}
