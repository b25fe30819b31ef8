import type { CommandLine } from './operation.ts';

/** The flags of limits that are not simply called like their field: one spelling for keys, teams, users and budgets. */
export const limitFlags = {
  max_parallel_requests: 'max-parallel',
  budget_id: { name: 'budget', placeholder: 'id', completes: 'budget' },
} as const satisfies NonNullable<CommandLine['flags']>;

/** What a wide table shows of limits. */
export const limitColumnNames = ['rpm_limit', 'tpm_limit', 'budget_reset_at'] as const;

export const limitHeadings = {
  rpm_limit: 'RPM',
  tpm_limit: 'TPM',
  budget_reset_at: 'RESETS',
} as const satisfies NonNullable<CommandLine['headings']>;
