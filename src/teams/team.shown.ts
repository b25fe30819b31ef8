import { z } from 'zod';
import { limitColumnNames, limitFlags, limitHeadings } from '../kernel/limit-flags.ts';
import { GatewayError } from '../kernel/errors.ts';
import type { CommandLine, Flag } from '../kernel/operation.ts';

/** `anna (admin), bob (user)` */
const membersAsText = (members: unknown): string =>
  teamMembers
    .parse(members)
    .map(({ user_id: user, role }) => `${user} (${role})`)
    .join(', ');

const teamMembers = z.array(z.looseObject({ user_id: z.string(), role: z.string() })).catch([]);

const modelAliasesFlag: Flag = {
  name: 'model-aliases',
  placeholder: 'name=model,…',
  description: 'Models by the names that clients send, in place of the present ones; none for no names',
  parse: (given) => {
    if (given === 'none') return { model_aliases: null };
    const pairs = given.split(',').map((pair) => /^([^=]+)=([^=]+)$/.exec(pair.trim()));
    if (pairs.includes(null)) {
      throw new GatewayError('usage', 'invalid_flag', `--model-aliases: "${given}" is not name=model,…, nor none`, {
        param: 'model_aliases',
      });
    }
    return { model_aliases: Object.fromEntries(pairs.flatMap((pair) => (pair ? [[pair[1], pair[2]]] : []))) };
  },
};

export const teamFlags: NonNullable<CommandLine['flags']> = {
  ...limitFlags,
  model_aliases: modelAliasesFlag,
  team_alias: 'alias',
  team_id: 'id',
  organization_id: { name: 'org', placeholder: 'org', completes: 'org' },
  members_with_roles: false,
  models: { name: 'models', placeholder: 'model,…', completes: 'model' },
  tags: { name: 'tags', placeholder: 'tag,…', completes: 'tag' },
  allowed_passthrough_routes: { name: 'passthrough-routes', placeholder: 'path,…' },
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

export const memberHeadings = { user_id: 'USER', user_email: 'EMAIL', max_budget_in_team: 'BUDGET' };
