import { z } from 'zod';
import { limitColumnNames, limitFlags, limitHeadings } from '../kernel/limit-flags.ts';
import type { CommandLine } from '../kernel/operation.ts';

/** `anna (admin), bob (user)` */
const membersAsText = (members: unknown): string =>
  teamMembers
    .parse(members)
    .map(({ user_id: user, role }) => `${user} (${role})`)
    .join(', ');

const teamMembers = z.array(z.looseObject({ user_id: z.string(), role: z.string() })).catch([]);

export const teamFlags: NonNullable<CommandLine['flags']> = {
  ...limitFlags,
  team_alias: 'alias',
  team_id: 'id',
  organization_id: 'org',
  members_with_roles: false,
  models: { name: 'models', placeholder: 'model,…', completes: 'model' },
  team_member_budget: 'member-budget',
  team_member_budget_duration: 'member-budget-duration',
  team_member_tpm_limit: 'member-tpm',
  team_member_rpm_limit: 'member-rpm',
  team_member_key_duration: 'member-key-duration',
  team_member_permissions: 'member-permissions',
};

/** How a team looks in tables. */
export const shownTeam: Partial<CommandLine> = {
  columns: [
    'team_alias',
    'team_id',
    'organization_id',
    'spend',
    'max_budget',
    'blocked',
    'members_count',
    'keys_count',
    'budget_reset_at',
    'status',
  ],
  wide: [
    'models',
    'members_with_roles',
    ...limitColumnNames.filter((name) => name !== 'budget_reset_at'),
    'created_at',
    'created_by',
  ],
  headings: {
    ...limitHeadings,
    team_alias: 'ALIAS',
    team_id: 'ID',
    organization_id: 'ORG',
    max_budget: 'BUDGET',
    members_with_roles: 'WHO',
    members_count: 'MEMBERS',
    keys_count: 'KEYS',
  },
  cells: { members_with_roles: membersAsText },
  id: 'team_id',
};
