import type { AuditAction, AuditService } from '../audit/audit.service.ts';
import type { BudgetService } from '../budgets/budget.service.ts';
import { windowSpend } from '../db/window-spend.ts';
import { given, type Work } from '../db/work.ts';
import { GatewayError } from '../kernel/errors.ts';
import { ifThere } from '../kernel/existing.ts';
import { fieldNotAllowed, requireChange } from '../kernel/fields.ts';
import { memberId } from '../kernel/member-id.ts';
import { offsetOf, type Page } from '../kernel/page.ts';
import { User } from '../users/user.entity.ts';
import type { UserService } from '../users/user.service.ts';
import { FormerMember, type Team, TeamMember } from './team.entity.ts';
import type { Person } from './team.join.ts';
import type { TeamStanding } from './team.policy.ts';
import type { TeamService } from './team.service.ts';
import { describeMembership, encodeMembership, type Membership } from './team.wire.ts';

type Maybe<T> = T | null | undefined;

export interface MemberChanges {
  role?: 'admin' | 'user' | undefined;
  maxBudgetInTeam?: Maybe<bigint>;
  budgetDuration?: Maybe<string>;
  tpmLimit?: Maybe<number>;
  rpmLimit?: Maybe<number>;
  budgetId?: Maybe<string>;
}

interface Parts {
  readonly audit: AuditService;
  readonly budgets: BudgetService;
  readonly teams: TeamService;
  readonly users: UserService;
}

/** Who belongs to teams. The caller has locked the team and asked whether it may be changed. */
export class MemberService {
  readonly #work: Work;
  readonly #audit: AuditService;
  readonly #budgets: BudgetService;
  readonly #teams: TeamService;
  readonly #users: UserService;

  constructor(work: Work, { audit, budgets, teams, users }: Parts) {
    this.#work = work;
    this.#audit = audit;
    this.#budgets = budgets;
    this.#teams = teams;
    this.#users = users;
  }

  /**
   * Whoever was in the team before comes back with the limits and the spend it had, but for limits that are named: else the
   * team's administrator would give back what was spent, and take limits away that somebody above has set.
   *
   * @throws GatewayError 400 when the user is in the team already, 403 when the limits are wider than the team's, or than
   *   those the user had there and the caller may only lower
   */
  async add(team: Team, user: User, { role = 'user', ...limits }: MemberChanges = {}): Promise<Membership> {
    const { em, now } = this.#work;
    if (await this.#teams.isMember(team.id, user.id)) throw alreadyThere(team, user, role);
    this.requireWithin(team, limits);
    const former = await em.findOne(FormerMember, { teamId: team.id, userId: user.id });
    await this.requireBudget(limits.budgetId, former?.budgetId);
    if (former) await this.#requireKept(team, former, limits);
    const member = em.create(TeamMember, {
      ...(former ? limitsOf(former) : { spend: 0n, budgetId: null }),
      ...columnsOf(former ? named(limits) : limits),
      teamId: team.id,
      userId: user.id,
      createdAt: now,
      role,
    });
    await em.flush();
    if (former) await em.remove(former).flush();
    return this.#changed(team, await this.#whole(member, user.email), 'created');
  }

  async update(
    team: Team,
    membership: Membership<TeamMember>,
    { changes, standing }: { changes: MemberChanges; standing: TeamStanding },
  ): Promise<Membership> {
    requireChange(changes);
    const before = this.#encode(team, membership);
    const { member } = membership;
    this.requireWithin(team, changes);
    await this.requireBudget(changes.budgetId, member.budgetId);
    if (standing === 'manager') requireLess(membership, changes);
    this.#work.em.assign(member, columnsOf(changes));
    await this.#work.em.flush();
    return this.#changed(team, await this.#whole(member, membership.email), 'updated', before);
  }

  async remove(team: Team, membership: Membership<TeamMember>): Promise<void> {
    const before = this.#encode(team, membership);
    const { em } = this.#work;
    em.create(FormerMember, limitsOf(membership.member));
    await em.flush();
    await em.remove(membership.member).flush();
    await this.#changed(team, membership, 'deleted', before);
  }

  async list(team: Team, page: Page): Promise<{ members: Membership[]; total: number }> {
    const { em } = this.#work;
    const [members, total] = await em.findAndCount(
      TeamMember,
      { teamId: team.id },
      { orderBy: { createdAt: 'asc', userId: 'asc' }, limit: page.size, offset: offsetOf(page) },
    );
    const users = await em.find(User, { id: { $in: members.map(({ userId }) => userId) } });
    const emails = new Map(users.map(({ id, email }) => [id, email ?? null]));
    const budgets = await this.#budgets.of(members.map(({ budgetId }) => budgetId));
    const whole = (member: TeamMember): Membership => ({
      member,
      email: emails.get(member.userId) ?? null,
      shared: budgets.get(member.budgetId ?? ''),
    });
    return { members: members.map(whole), total };
  }

  /** Members of one team as they travel. */
  async describe(team: Team, members: readonly Membership[]): Promise<ReturnType<typeof describeMembership>[]> {
    const [described = []] = await this.describeEach([{ team, members }]);
    return described;
  }

  /** Members of several teams as they travel, team by team: one statement for what they have spent in their periods. */
  async describeEach(teams: readonly { readonly team: Team; readonly members: readonly Membership[] }[]) {
    const { em, now } = this.#work;
    const spenders = teams.flatMap(({ team, members }) =>
      members.map(({ member: { userId, budgetDuration, budgetId } }) => ({
        id: memberId(team.id, userId),
        budgetDuration,
        budgetId,
        otherwise: team.memberBudgetDuration,
      })),
    );
    const spent = await windowSpend(em, 'member', { spenders, now });
    return teams.map(({ team, members }) =>
      members.map((each) =>
        describeMembership({ ...each, spent: spent.get(memberId(team.id, each.member.userId)) }, team, now),
      ),
    );
  }

  /** @throws GatewayError 400, the same for whoever is in no team and whoever is not there at all */
  async named(team: Team, person: Person): Promise<Membership<TeamMember>> {
    const user = await ifThere(this.#users.existing(person));
    const member = user && (await this.#work.em.findOne(TeamMember, { teamId: team.id, userId: user.id }));
    if (member) return this.#whole(member, user.email);
    throw new GatewayError(
      'notFound',
      'not_found_error',
      `User ${person.userId ?? person.userEmail} is not in team ${team.alias ?? team.id}`,
      {
        param: 'user_id',
        // LiteLLM answers 400 for a member that is not there.
        status: 400,
      },
    );
  }

  /** @throws GatewayError 403. A member's limit above the team's would never be reached, and is mostly a mistake; LiteLLM refuses it for tpm and rpm. */
  requireWithin(team: Team, { maxBudgetInTeam, tpmLimit, rpmLimit }: MemberChanges): void {
    const limits = [
      ['maxBudgetInTeam', maxBudgetInTeam, team.maxBudget],
      ['tpmLimit', tpmLimit, team.tpmLimit],
      ['rpmLimit', rpmLimit, team.rpmLimit],
    ] as const;
    for (const [name, wanted, most] of limits) {
      if (typeof wanted === 'object' || wanted === undefined || typeof most === 'object' || most === undefined)
        continue;
      if (wanted > most) throw fieldNotAllowed(name, `it is more than team ${team.alias ?? team.id} has`);
    }
  }

  async #requireKept(team: Team, former: FormerMember, limits: MemberChanges): Promise<void> {
    const standing = await this.#teams.access.standing(team);
    if (standing === 'admin' || standing === 'organization') return;
    requireLess({ member: former, shared: await this.#budgets.get(former.budgetId) }, named(limits));
  }

  async #whole(member: TeamMember, email: Maybe<string>): Promise<Membership<TeamMember>> {
    return { member, email: email ?? null, shared: await this.#budgets.get(member.budgetId) };
  }

  /** Shared budgets belong to administrators, and so does who shares them. */
  async requireBudget(wanted: Maybe<string>, held: Maybe<string> = null): Promise<void> {
    if (wanted === undefined || wanted === (held ?? null)) return;
    if (!this.#work.authority.isAdmin) throw fieldNotAllowed('budgetId', 'only administrators share budgets out');
    if (wanted !== null) await this.#budgets.require(wanted);
  }

  /** Whoever was removed or made less loses it with the next call: the keys of the user and of the team are looked up anew. */
  async #changed(team: Team, membership: Membership, action: AuditAction, before?: unknown): Promise<Membership> {
    await this.#teams.touched(team);
    this.#audit.record({
      action,
      object: 'team_member',
      id: `${team.id}/${membership.member.userId}`,
      before,
      after: action === 'deleted' ? undefined : this.#encode(team, membership),
      organizationIds: team.organizationId ? [team.organizationId] : [],
    });
    return membership;
  }

  #encode(team: Team, membership: Membership): unknown {
    return encodeMembership(describeMembership(membership, team, this.#work.now));
  }
}

const columnsOf = ({ maxBudgetInTeam, ...changes }: MemberChanges) => given({ ...changes, maxBudget: maxBudgetInTeam });

/** Of limits those that say something: without a limit is whoever has had none. */
const named = (limits: MemberChanges): MemberChanges =>
  Object.fromEntries(Object.entries(limits).filter(([, limit]) => limit !== null));

/** What a member has in the team, and has still after it was away. */
const limitsOf = ({
  teamId,
  userId,
  budgetId,
  maxBudget,
  budgetDuration,
  tpmLimit,
  rpmLimit,
  spend,
}: TeamMember | FormerMember) => ({
  teamId,
  userId,
  budgetId: budgetId ?? null,
  maxBudget: maxBudget ?? null,
  budgetDuration: budgetDuration ?? null,
  tpmLimit: tpmLimit ?? null,
  rpmLimit: rpmLimit ?? null,
  spend,
});

type Limited = Pick<Membership, 'shared'> & {
  readonly member: Pick<FormerMember, 'maxBudget' | 'budgetDuration' | 'tpmLimit' | 'rpmLimit'>;
};

/** The team's administrator lowers what members may spend; raising it is for those above. */
function requireLess({ member, shared }: Limited, changes: MemberChanges): void {
  const limits = [
    ['maxBudgetInTeam', changes.maxBudgetInTeam, member.maxBudget, shared?.maxBudget],
    ['tpmLimit', changes.tpmLimit, member.tpmLimit, shared?.tpmLimit],
    ['rpmLimit', changes.rpmLimit, member.rpmLimit, shared?.rpmLimit],
  ] as const;
  for (const [name, wanted, own, others] of limits) {
    const held = own ?? others ?? null;
    if (wanted === undefined || held === null) continue;
    // Without a limit of its own that of its shared budget counts.
    const next = wanted ?? others ?? null;
    if (next === null || next > held) throw fieldNotAllowed(name, 'the team’s administrator may only lower it');
  }
  const { budgetDuration: duration } = changes;
  if (duration !== undefined && duration !== (member.budgetDuration ?? null)) {
    throw fieldNotAllowed('budgetDuration', 'only somebody above the team may change it');
  }
}

const alreadyThere = (team: Team, user: User, role: string) =>
  new GatewayError('conflict', 'team_member_already_in_team', `User ${user.id} is already in team ${team.id}`, {
    param: 'user_id',
    status: 400,
    hint: `Change the role instead: gatewayctl team member update ${team.alias ?? team.id} ${user.id} --role ${role}`,
  });
