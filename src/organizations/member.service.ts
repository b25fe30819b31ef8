import { LockMode } from '@mikro-orm/core';
import type { AuditService } from '../audit/audit.service.ts';
import type { BudgetService } from '../budgets/budget.service.ts';
import { announce } from '../db/notify.ts';
import { SCHEMA } from '../db/schema.ts';
import { windowSpend } from '../db/window-spend.ts';
import { given, type Work } from '../db/work.ts';
import type { OrganizationRole } from '../access/authority.ts';
import { fieldNotAllowed, requireChange } from '../kernel/fields.ts';
import { excessOf } from '../kernel/grant.ts';
import { memberId } from '../kernel/member-id.ts';
import { toDollars } from '../kernel/money.ts';
import { offsetOf, type Page } from '../kernel/page.ts';
import { alreadyMember, notAdministered, notMember, notWritable } from './member.errors.ts';
import { type Organization, OrganizationMember } from './organization.entity.ts';
import { emailsOf } from './organization.queries.ts';
import { describeMembership } from './organization.wire.ts';

interface MembershipLimits {
  maxBudget?: bigint | null | undefined;
  budgetId?: string | null | undefined;
}

export interface Membership extends MembershipLimits {
  role: OrganizationRole;
}

/** A user, and the name by which the caller said who is meant: an answer must not tell more than the question did. */
interface Named {
  readonly id: string;
  readonly as: string;
}

/** Roles an organization's own administrator may give and take away. */
const ownRoles: ReadonlySet<OrganizationRole> = new Set(['internal_user', 'internal_user_viewer']);

/** Who belongs to organizations. Decided by the authority of the caller, for each organization and role. */
export class OrganizationMemberService {
  readonly #work: Work;
  readonly #audit: AuditService;
  readonly #budgets: BudgetService;

  constructor(work: Work, audit: AuditService, budgets: BudgetService) {
    this.#work = work;
    this.#audit = audit;
    this.#budgets = budgets;
  }

  /** @throws GatewayError 403 for whoever sees the organization and does not administer it */
  async requireAdministration({ id }: Organization): Promise<void> {
    if (!(await this.#work.authority.administersOrganization(id))) throw notAdministered();
  }

  /** Whether the caller may make a member of a user that is there. */
  async mayTakeIn({ id }: { readonly id: string }): Promise<boolean> {
    return this.#work.authority.administersUser(id);
  }

  /** @throws GatewayError 400 when the user is a member already, 403 when the caller may not give that much */
  async add(organization: Organization, userId: string, membership: Membership): Promise<OrganizationMember> {
    await this.#requireGrant(organization, membership);
    await this.#requireBudget(membership.budgetId, null);
    if (!(await this.#insert(organization.id, userId, membership))) {
      throw alreadyMember(organization, userId, membership.role);
    }
    const member = await this.#lock(organization, { id: userId, as: userId });
    await this.#changed(member, 'created');
    return member;
  }

  /** Whoever is at home in an organization is its member: the membership is made unless there is one. */
  async join(organizationId: string, userId: string): Promise<void> {
    if (!(await this.#insert(organizationId, userId, { role: 'internal_user' }))) return;
    await announce(this.#work, { entity: 'user', id: userId });
    const after = { role: 'internal_user', max_budget: null, budget_id: null };
    const id = `${organizationId}/${userId}`;
    this.#audit.record({
      action: 'created',
      object: 'organization_member',
      id,
      after,
      organizationIds: [organizationId],
    });
  }

  async update(
    organization: Organization,
    user: Named,
    { role, maxBudget, budgetId }: MembershipLimits & { role?: OrganizationRole | undefined },
  ): Promise<OrganizationMember> {
    requireChange({ role, maxBudget, budgetId });
    const member = await this.#lock(organization, user);
    await this.#requireGrant(organization, { role: member.role, maxBudget: undefined });
    await this.#requireGrant(organization, { role: role ?? member.role, maxBudget });
    await this.#requireBudget(budgetId, member.budgetId);
    const before = asRecord(member);
    this.#work.em.assign(member, given({ role, maxBudget, budgetId }));
    await this.#work.em.flush();
    await this.#changed(member, 'updated', before);
    return member;
  }

  /** @returns the membership as it was, for an answer */
  async remove(organization: Organization, user: Named) {
    const member = await this.#lock(organization, user);
    await this.#requireGrant(organization, { role: member.role, maxBudget: undefined });
    await this.#changed(member, 'deleted', asRecord(member));
    const described = await this.describeOne(member);
    this.#work.em.remove(member);
    await this.#work.em.flush();
    return described;
  }

  /** By user id. To a plain member the only member there is. */
  async list({ id }: Organization, page: Page): Promise<{ members: OrganizationMember[]; total: number }> {
    const { em, authority } = this.#work;
    const isWhole = authority.seesAll || (await authority.administersOrganization(id));
    const where = { organizationId: id, ...(!isWhole && { userId: authority.userId ?? '' }) };
    const [members, total] = await em.findAndCount(OrganizationMember, where, {
      orderBy: { userId: 'asc' },
      limit: page.size,
      offset: offsetOf(page),
    });
    return { members, total };
  }

  async describe(members: readonly OrganizationMember[]) {
    const emails = await emailsOf(
      this.#work.em,
      members.map(({ userId }) => userId),
    );
    const budgets = await this.#budgets.of(members.map(({ budgetId }) => budgetId));
    const { em, now } = this.#work;
    const spenders = members.map((member) => ({
      id: memberId(member.organizationId, member.userId),
      budgetDuration: member.budgetDuration,
      budgetId: member.budgetId,
    }));
    const spent = await windowSpend(em, 'organization_member', { spenders, now });
    return members.map((member) =>
      describeMembership(member, emails.get(member.userId) ?? null, {
        budget: budgets.get(member.budgetId ?? ''),
        now,
        spent: spent.get(memberId(member.organizationId, member.userId)),
      }),
    );
  }

  async describeOne(member: OrganizationMember) {
    const [described] = await this.describe([member]);
    if (!described) throw new Error('a member is described by one description');
    return described;
  }

  /** Whoever comes second waits for the first: an exception would have ended a transaction in which nothing was wrong. */
  async #insert(organizationId: string, userId: string, { role, maxBudget, budgetId }: Membership): Promise<boolean> {
    const made: unknown[] = await this.#work.em.execute(
      `insert into ${SCHEMA}.organization_members (organization_id, user_id, role, max_budget, budget_id, created_at)
       values (?, ?, ?, ?, ?, ?) on conflict do nothing returning user_id`,
      [organizationId, userId, role, maxBudget ?? null, budgetId ?? null, this.#work.now],
    );
    return made.length > 0;
  }

  async #lock({ id, alias }: Organization, user: Named): Promise<OrganizationMember> {
    const member = await this.#work.em.findOne(
      OrganizationMember,
      { organizationId: id, userId: user.id },
      { lockMode: LockMode.PESSIMISTIC_WRITE },
    );
    if (member) return member;
    throw notMember(user.as, alias);
  }

  async #requireGrant({ id }: Organization, { role, maxBudget }: Membership): Promise<void> {
    const { authority } = this.#work;
    if (authority.isAdmin) return;
    if (!ownRoles.has(role)) throw notWritable('role', 'only a proxy administrator makes or changes an org_admin');
    if (maxBudget === undefined) return;
    const held = [await authority.grantOf('organization', id), authority.ownGrant].filter((each) => each !== undefined);
    if (excessOf({ maxBudget }, held, new Set()))
      throw notWritable('max_budget_in_organization', 'is more than you hold yourself');
  }

  /** Shared budgets belong to administrators, and so does who shares them. */
  async #requireBudget(wanted: string | null | undefined, held: string | null | undefined): Promise<void> {
    if (wanted === undefined || wanted === (held ?? null)) return;
    if (!this.#work.authority.isAdmin) throw fieldNotAllowed('budgetId', 'only administrators share budgets out');
    if (wanted !== null) await this.#budgets.require(wanted);
  }

  async #changed(
    member: OrganizationMember,
    action: 'created' | 'updated' | 'deleted',
    before?: unknown,
  ): Promise<void> {
    await announce(this.#work, { entity: 'user', id: member.userId });
    const after = action === 'deleted' ? undefined : asRecord(member);
    const id = `${member.organizationId}/${member.userId}`;
    const organizationIds = [member.organizationId];
    this.#audit.record({ action, object: 'organization_member', id, before, after, organizationIds });
  }
}

function asRecord(member: OrganizationMember): Record<string, unknown> {
  const { role, maxBudget, budgetId } = member;
  return {
    role,
    max_budget: typeof maxBudget === 'bigint' ? toDollars(maxBudget) : null,
    budget_id: budgetId ?? null,
  };
}
