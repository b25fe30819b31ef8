import type { Work } from '../db/work.ts';
import { GatewayError } from '../kernel/errors.ts';
import { fieldNotAllowed } from '../kernel/fields.ts';
import { excessOf, type Grant, type HeldGrant } from '../kernel/grant.ts';
import type { Team } from './team.entity.ts';
import { ruleFor, standings, type teamPolicy, type TeamStanding } from './team.policy.ts';

export const unknownTeam = (reference: string) =>
  new GatewayError('notFound', 'not_found_error', `Team not found, passed team_id=${reference}`, {
    param: 'team_id',
    hint: 'Which teams there are: gatewayctl team list',
  });

const fields = [
  'models',
  'maxBudget',
  'tpmLimit',
  'rpmLimit',
  'maxParallelRequests',
  'allowedPassthroughRoutes',
] as const;

/** What a team may do, of that of which one can have more than another. */
export const teamGrant = (team: Pick<Team, (typeof fields)[number]>): Grant => ({
  models: team.models,
  maxBudget: team.maxBudget ?? null,
  tpmLimit: team.tpmLimit ?? null,
  rpmLimit: team.rpmLimit ?? null,
  maxParallelRequests: team.maxParallelRequests ?? null,
  allowedRoutes: [],
  allowedPassthroughRoutes: team.allowedPassthroughRoutes,
  allowedIps: [],
  expiresAt: null,
});

/** Of a grant what was asked to be changed: the rest may be more than the caller holds, and stays. */
const changed = (grant: Grant, changes: object): Partial<Grant> =>
  Object.fromEntries(Object.entries(grant).filter(([name]) => Object.hasOwn(changes, name)));

type MemberDefaults = Pick<Team, 'memberMaxBudget' | 'memberBudgetDuration' | 'memberTpmLimit' | 'memberRpmLimit'>;

/** What a team had before it was changed. */
export interface Held {
  readonly before: Grant;
  readonly softBudget: bigint | null | undefined;
  readonly members: MemberDefaults;
}

export const memberDefaults = ({
  memberMaxBudget,
  memberBudgetDuration,
  memberTpmLimit,
  memberRpmLimit,
}: Team): MemberDefaults => ({ memberMaxBudget, memberBudgetDuration, memberTpmLimit, memberRpmLimit });

/** What the caller is to a team, and what follows from it. Asked in the transaction of the change, on the locked row. */
export class TeamAccess {
  readonly #work: Work;

  constructor(work: Work) {
    this.#work = work;
  }

  async standing(team: Team): Promise<TeamStanding | undefined> {
    const { authority } = this.#work;
    if (authority.isAdmin) return 'admin';
    // Whoever may only look administers nothing, and sees no more of a team than its members do.
    if (authority.mayWrite && (await authority.administersOrganization(team.organizationId))) return 'organization';
    const role = await authority.teamRole(team.id);
    if (role === 'admin' && authority.mayWrite) return 'manager';
    return role && 'member';
  }

  async mayRead(team: Team): Promise<boolean> {
    return this.#work.authority.seesAll || (await this.standing(team)) !== undefined;
  }

  /** Of which of these the caller sees who is in them: a plain member sees itself there, not what the others spend. */
  async open(teams: readonly Team[]): Promise<ReadonlySet<string>> {
    const { authority } = this.#work;
    if (authority.seesAll) return new Set(teams.map(({ id }) => id));
    return new Set(await authority.administeredTeams());
  }

  /** What a plain member may not see of its own team. */
  async requireRead(team: Team, reference: string): Promise<void> {
    if (!this.#work.authority.seesAll) await this.require(team, 'manager', reference);
  }

  /**
   * @param reference how the team was named
   * @throws GatewayError 404 when the caller may not know of the team, 403 when it is less to it than needed
   */
  async require(team: Team, least: TeamStanding, reference: string): Promise<TeamStanding> {
    const standing = await this.standing(team);
    const { seesAll, route } = this.#work.authority;
    if (!standing) throw seesAll ? notTheirs(team, route) : unknownTeam(reference);
    if (standings.indexOf(standing) < standings.indexOf(least)) throw notTheirs(team, route);
    return standing;
  }

  /**
   * @param changes what is asked for; `before` is what the team had, `next` the team as it would be
   * @throws GatewayError 403 naming the first field the caller may not change so
   */
  async requireFields(
    { before, softBudget, members, next, standing }: Held & { next: Team; standing: TeamStanding },
    changes: object,
  ): Promise<void> {
    if (standing === 'admin') return;
    for (const [name, value] of Object.entries(changes)) {
      if (value === undefined) continue;
      // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- changes are made of the fields of the policy
      const rule = ruleFor(name as keyof typeof teamPolicy, standing);
      if (rule === 'refused') throw fieldNotAllowed(name, 'only somebody above the team may change it');
    }
    if (standing === 'manager') {
      requireNoLaterWarning(softBudget, next);
      requireLessForMembers(members, next);
    }
    const own = standing === 'manager' ? [{ grant: before, isInherited: false }] : [];
    await this.#requireWithin(next.organizationId, { wanted: changed(teamGrant(next), changes), own });
  }

  /** A new team, or one changed from above, holds no more than its organization and the key that was used. */
  async requireNew(team: Team): Promise<void> {
    if (this.#work.authority.isAdmin) return;
    await this.#requireWithin(team.organizationId, { wanted: teamGrant(team), own: [] });
  }

  async #requireWithin(
    organizationId: string | null | undefined,
    { wanted, own }: { wanted: Partial<Grant>; own: readonly HeldGrant[] },
  ): Promise<void> {
    const { authority } = this.#work;
    const above = organizationId ? await authority.grantOf('organization', organizationId) : undefined;
    const held = [...own, above, authority.ownGrant, ...authority.tokenGrants].filter((each) => each !== undefined);
    const excess = excessOf(wanted, held, await authority.accessGroups());
    if (excess) throw fieldNotAllowed(excess, 'it would be more than you may give');
  }
}

/** A warning is narrowed like a budget: whoever lifts it hides from those above what is spent. */
function requireNoLaterWarning(before: bigint | null | undefined, { softBudget }: Team): void {
  if (before === null || before === undefined) return;
  if (softBudget === null || softBudget === undefined || softBudget > before) {
    throw fieldNotAllowed('softBudget', 'the team’s administrator may only lower it');
  }
}

/**
 * Whoever administers the team is held to what each of its members has, and is one of them. Another length of time would
 * begin a new window, and with it give back what was spent.
 */
function requireLessForMembers(before: MemberDefaults, next: Team): void {
  const limits = [
    ['teamMemberBudget', before.memberMaxBudget, next.memberMaxBudget],
    ['teamMemberTpmLimit', before.memberTpmLimit, next.memberTpmLimit],
    ['teamMemberRpmLimit', before.memberRpmLimit, next.memberRpmLimit],
  ] as const;
  for (const [name, held, wanted] of limits) {
    if (held === null || held === undefined) continue;
    if (wanted === null || wanted === undefined || wanted > held) {
      throw fieldNotAllowed(name, 'the team’s administrator may only lower it');
    }
  }
  const hasBudget = before.memberMaxBudget !== null && before.memberMaxBudget !== undefined;
  if (hasBudget && (before.memberBudgetDuration ?? null) !== (next.memberBudgetDuration ?? null)) {
    throw fieldNotAllowed('teamMemberBudgetDuration', 'only somebody above the team may change it');
  }
}

const notTheirs = (team: Team, route: string) =>
  new GatewayError(
    'forbidden',
    'auth_error',
    `Call not allowed. User not proxy admin OR team admin. route=${route}, team_id=${team.id}`,
    { param: 'team_id', hint: 'Ask an administrator of the team.' },
  );
