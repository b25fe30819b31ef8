import { z } from 'zod';
import { grantChanges, grantFields, grantInfo, id, label, stampInfo } from '../kernel/fields.ts';
import { roles } from '../kernel/operation.ts';
import { answer } from '../kernel/wire.ts';
import type { User } from './user.entity.ts';

/** A user in answers, in LiteLLM's words. */
export const userInfo = {
  userId: z.string().describe('Names the user'),
  userEmail: z.string().nullable().describe('The address of the user'),
  userAlias: z.string().nullable().describe('What the user is called'),
  userRole: z.string().describe('What the user may do'),
  organizationId: z.string().nullable().describe('The organization the user belongs to'),
  ...grantInfo,
  ...stampInfo,
};

export const describeUser = (user: User) => ({
  userId: user.id,
  userEmail: user.email ?? null,
  userAlias: user.alias ?? null,
  userRole: user.role,
  organizationId: user.organizationId ?? null,
  models: user.models,
  maxBudget: user.maxBudget ?? null,
  spend: user.spend,
  metadata: user.metadata,
  createdAt: user.createdAt,
  createdBy: user.createdBy,
  updatedAt: user.updatedAt,
  updatedBy: user.updatedBy,
});

const row = answer(userInfo);

/** A user as it travels: what administrators see, and what the audit log keeps. */
export const encodeUser = (info: ReturnType<typeof describeUser>) => row.encode(info);

const email = z.email('must be an e-mail address').max(254);

const person = {
  userEmail: email.nullable().optional().describe('The address of the user; unique'),
  userAlias: label.nullable().optional().describe('What the user is called'),
  organizationId: id.nullable().optional().describe('The organization the user belongs to'),
};

export const newUserFields = {
  userId: id.nullable().optional().describe('Names the user; made up when absent'),
  ...person,
  userRole: z.enum(roles).default('internal_user').describe('What the user may do'),
  ...grantFields,
};

export const userChanges = {
  ...person,
  userRole: z.enum(roles).optional().describe('What the user may do'),
  ...grantChanges,
};

/** LiteLLM's fields of a user that have no effect here yet. */
export const unservedUserFields = [
  'soft_budget',
  'budget_duration',
  'budget_id',
  'max_parallel_requests',
  'tpm_limit',
  'rpm_limit',
  'model_rpm_limit',
  'model_tpm_limit',
  'model_max_budget',
  'permissions',
  'aliases',
  'config',
  'allowed_cache_controls',
  'blocked',
  'organizations',
  'send_invite_email',
  'sso_user_id',
  'password',
  'object_permission',
  'guardrails',
  'policies',
  'spend',
  'tags',
  'duration',
] as const;
