import { limitColumnNames, limitFlags, limitHeadings } from '../kernel/limit-flags.ts';
import type { CommandLine } from '../kernel/operation.ts';

export const userFlags: NonNullable<CommandLine['flags']> = {
  ...limitFlags,
  sso_user_id: 'sso-id',
  user_id: 'id',
  user_email: 'email',
  user_alias: 'alias',
  user_role: 'role',
  organization_id: { name: 'org', placeholder: 'org', completes: 'org' },
  models: { name: 'models', placeholder: 'model,…', completes: 'model' },
};

/** How a user looks in tables. */
export const shownUser: Partial<CommandLine> = {
  columns: ['user_id', 'user_email', 'user_role', 'organization_id', 'spend', 'max_budget'],
  wide: ['user_alias', 'models', ...limitColumnNames, 'created_at', 'created_by'],
  headings: {
    ...limitHeadings,
    user_id: 'ID',
    user_email: 'EMAIL',
    user_role: 'ROLE',
    user_alias: 'ALIAS',
    organization_id: 'ORG',
    max_budget: 'BUDGET',
  },
  id: 'user_id',
};
