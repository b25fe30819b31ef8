import { z } from 'zod';
import { grantChanges, grantFields, id, label } from '../kernel/fields.ts';
import { limitFields } from '../kernel/limits.ts';
import { roles } from '../kernel/operation.ts';

/** What a list of users can be sorted by: each has an index. */
export const userSorts = ['user_id', 'user_email', 'created_at', 'spend', 'user_alias', 'user_role'] as const;

const email = z.email('must be an e-mail address').max(254);

const person = {
  userEmail: email.nullable().optional().describe('The address of the user; unique'),
  userAlias: label.nullable().optional().describe('What the user is called'),
  organizationId: id
    .nullable()
    .optional()
    .describe('The organization the user is at home in; the user becomes a member'),
  ssoUserId: id.nullable().optional().describe('How an identity provider knows the user; unique'),
  ...limitFields,
  budgetId: id.nullable().optional().describe('A shared budget, whose limits count where the user has none of its own'),
};

export const newUserFields = {
  userId: id.nullable().optional().describe('Names the user; made up when absent'),
  ...person,
  userRole: z.enum(roles).optional().describe('What the user may do; internal_user where nothing is said'),
  ...grantFields,
  blocked: z.boolean().default(false).describe('Whether all keys of the user are refused from the start'),
};

export const userChanges = {
  ...person,
  userRole: z.enum(roles).optional().describe('What the user may do'),
  ...grantChanges,
  blocked: z.boolean().optional().describe('Whether all keys of the user are refused for now'),
};

/** LiteLLM's fields of a user that have no effect here yet. */
export const unservedUserFields = [
  'budget_limits',
  'permissions',
  'aliases',
  'config',
  'allowed_cache_controls',
  'send_invite_email',
  'password',
  'object_permission',
  'guardrails',
  'policies',
  'prompts',
  'spend',
  'tags',
  'duration',
  'key_type',
  'router_settings',
] as const;
