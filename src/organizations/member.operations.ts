import { z } from 'zod';
import { GatewayError } from '../kernel/errors.ts';
import { ifThere } from '../kernel/existing.ts';
import { id, text } from '../kernel/fields.ts';
import { usd } from '../kernel/money.ts';
import { type CommandLine, operation } from '../kernel/operation.ts';
import { describePage, pageInfo, pageInput } from '../kernel/page.ts';
import { answer, wire } from '../kernel/wire.ts';
import type { User } from '../users/user.entity.ts';
import type { UserService } from '../users/user.service.ts';
import { notMember, notYours } from './member.errors.ts';
import type { OrganizationMemberService } from './member.service.ts';
import type { Organization } from './organization.entity.ts';
import type { OrganizationService } from './organization.service.ts';
import { membershipInfo, organizationRole } from './organization.wire.ts';

interface Needs {
  organizations: OrganizationService;
  organizationMembers: OrganizationMemberService;
  users: UserService;
}

interface Person {
  userId?: string | null | undefined;
  userEmail?: string | null | undefined;
}

const organization = id.describe('The organization, by id or alias');
const role = organizationRole.describe('What the user is in the organization');
const budget = usd
  .nullable()
  .optional()
  .describe('US dollars the user may spend in the organization; null is no limit');

const shared = id
  .nullable()
  .optional()
  .describe('A shared budget, for what the membership has no limit of its own for; administrators only');

const personFields = {
  userId: id.nullable().optional().describe('The user, by id or e-mail address'),
  userEmail: z.email().nullable().optional().describe('The user, by e-mail address'),
};

const newMember = wire({ ...personFields, role });

const shown: Partial<CommandLine> = {
  columns: ['user_id', 'user_email', 'user_role', 'spend', 'max_budget'],
  wide: ['organization_id', 'created_at'],
  headings: {
    user_id: 'USER',
    user_email: 'EMAIL',
    user_role: 'ROLE',
    max_budget: 'BUDGET',
    organization_id: 'ORG',
    created_at: 'JOINED',
  },
  id: 'user_id',
};

const onePerson = {
  args: ['organization_id', 'user_id'],
  completes: { organization_id: 'org', user_id: 'user' },
  flags: { max_budget_in_organization: 'max-budget' },
} as const;

/**
 * The user to add. An organization's administrator adds users that are new, or in another organization of theirs: with
 * a membership comes power over the user, so nobody may take in somebody else's.
 */
async function userToAdd({ users, organizationMembers }: Needs, person: Person): Promise<User> {
  const there = await ifThere(users.existing(person));
  if (!there) return users.named(person);
  if (await organizationMembers.mayTakeIn(there)) return there;
  throw notYours(person.userId ?? person.userEmail ?? '');
}

/** A member by id or address; who is not in the organization is answered like who is nowhere. */
async function memberOf({ users }: Needs, { alias }: Organization, person: Person) {
  const as = person.userId ?? person.userEmail ?? '';
  const user = await ifThere(users.existing(person));
  if (user) return { user, named: { id: user.id, as } };
  throw notMember(as, alias);
}

/** The organization, locked, when the caller may manage its members. */
async function administered({ organizations, organizationMembers }: Needs, reference: string): Promise<Organization> {
  const found = await organizations.get(reference);
  await organizationMembers.requireAdministration(found);
  return organizations.lock(found.id);
}

export const addOrganizationMember = operation({
  command: ['org', 'member', 'add'],
  route: ['POST', '/organization/member_add'],
  summary: 'Add users to an organization',
  description: 'A user that is not there yet is made.',
  input: wire({
    organizationId: organization,
    member: z
      .union([newMember, z.array(newMember).min(1).max(500)])
      .optional()
      .describe('The member or members'),
    userIds: z.array(id).max(500).optional().describe('The users, by id or e-mail address, in place of member'),
    role: role.default('internal_user'),
    maxBudgetInOrganization: budget,
    budgetId: shared,
  }),
  output: answer({
    organizationId: z.string().describe('The organization'),
    updatedUsers: z
      .array(
        answer({
          userId: z.string().describe('The user'),
          userEmail: z.string().nullable().describe('The address of the user'),
        }),
      )
      .describe('The users that were added'),
    updatedOrganizationMemberships: z.array(answer(membershipInfo)).describe('Their memberships'),
  }),
  access: 'scoped',
  cli: {
    ...shown,
    result: 'updated_organization_memberships',
    args: ['organization_id', 'user_ids'],
    completes: { organization_id: 'org', user_ids: 'user' },
    flags: { member: false, max_budget_in_organization: 'max-budget' },
    done: (_, { organization_id: to, user_ids: users }) =>
      `${Array.isArray(users) ? users.map(text).join(', ') : ''} added to organization ${text(to)}`,
    examples: [['An administrator of the organization', 'gatewayctl org member add acme anna --role org_admin']],
  },
  run: async (
    needs: Needs,
    { organizationId, member, userIds = [], role: given, maxBudgetInOrganization: maxBudget, budgetId },
  ) => {
    const found = await administered(needs, organizationId);
    const wanted = [
      ...(member === undefined ? [] : [member].flat()),
      ...userIds.map((userId) => ({ userId, userEmail: undefined, role: given })),
    ];
    if (wanted.length === 0) {
      throw new GatewayError('invalid', 'invalid_request_error', 'member: no user was named', { param: 'member' });
    }
    const members = [];
    for (const { role: as, ...person } of wanted) {
      const user = await userToAdd(needs, person);
      members.push(await needs.organizationMembers.add(found, user.id, { role: as, maxBudget, budgetId }));
    }
    const described = await needs.organizationMembers.describe(members);
    return {
      organizationId: found.id,
      updatedUsers: described.map(({ userId, userEmail }) => ({ userId, userEmail })),
      updatedOrganizationMemberships: described,
    };
  },
});

export const listOrganizationMembers = operation({
  command: ['org', 'member', 'list'],
  aliases: ['ls'],
  route: ['GET', '/organization/member_list'],
  summary: 'List the members of an organization',
  description: 'To a plain member its own membership alone.',
  input: wire({ organizationId: organization, ...pageInput }),
  output: answer({ members: z.array(answer(membershipInfo)).describe('The members, by user'), ...pageInfo }),
  access: 'scoped',
  cli: {
    ...shown,
    args: ['organization_id'],
    completes: { organization_id: 'org' },
    result: 'members',
    pages: { page: 'page', size: 'page_size', total: 'total' },
    flags: { page_size: 'limit' },
    examples: [['By the alias of the organization', 'gatewayctl org member list acme']],
  },
  run: async ({ organizations, organizationMembers }: Needs, { organizationId, ...page }) => {
    const found = await organizations.get(organizationId);
    const { members, total } = await organizationMembers.list(found, { page: page.page, size: page.pageSize });
    return { members: await organizationMembers.describe(members), ...describePage(total, page) };
  },
});

export const updateOrganizationMember = operation({
  command: ['org', 'member', 'update'],
  route: ['PATCH', '/organization/member_update'],
  alsoAt: [['POST', '/organization/member_update']],
  summary: 'Change what a user is or may spend in an organization',
  input: wire({
    organizationId: organization,
    ...personFields,
    role: role.optional(),
    maxBudgetInOrganization: budget,
    budgetId: shared,
  }),
  output: answer(membershipInfo),
  access: 'scoped',
  cli: {
    ...shown,
    ...onePerson,
    done: ({ user_id: user, user_role: is }) => `User ${text(user)} is ${text(is)} now`,
    examples: [['Only looking from now on', 'gatewayctl org member update acme anna --role internal_user_viewer']],
  },
  run: async (needs: Needs, { organizationId, role: as, maxBudgetInOrganization: maxBudget, budgetId, ...person }) => {
    const found = await administered(needs, organizationId);
    const { named: who } = await memberOf(needs, found, person);
    const changes = { role: as, maxBudget, budgetId };
    return needs.organizationMembers.describeOne(await needs.organizationMembers.update(found, who, changes));
  },
});

export const removeOrganizationMember = operation({
  command: ['org', 'member', 'delete'],
  aliases: ['remove', 'rm'],
  route: ['DELETE', '/organization/member_delete'],
  alsoAt: [['POST', '/organization/member_delete']],
  summary: 'Take a user out of an organization',
  description: 'A user at home in it has no home any more. Its keys stay.',
  input: wire({ organizationId: organization, ...personFields }),
  output: answer(membershipInfo),
  access: 'scoped',
  cli: {
    ...shown,
    ...onePerson,
    flags: {},
    confirm: 'moderate',
    done: ({ user_id: user }, { organization_id: from }) =>
      `User ${text(user)} taken out of organization ${text(from)}`,
    examples: [['In a script', 'gatewayctl org member delete acme anna --yes']],
  },
  run: async (needs: Needs, { organizationId, ...person }) => {
    const found = await administered(needs, organizationId);
    const { user, named: who } = await memberOf(needs, found, person);
    const removed = await needs.organizationMembers.remove(found, who);
    if (user.organizationId === found.id) await needs.users.leaveHome(user);
    return removed;
  },
});

export const organizationMemberOperations = [
  addOrganizationMember,
  listOrganizationMembers,
  updateOrganizationMember,
  removeOrganizationMember,
] as const;
