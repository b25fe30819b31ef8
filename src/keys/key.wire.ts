import { z } from 'zod';
import { lifetime } from '../kernel/duration.ts';
import { grantChanges, grantFields, grantInfo, id, label, stampInfo } from '../kernel/fields.ts';
import { answer, timestamp } from '../kernel/wire.ts';
import type { Key } from './key.entity.ts';

/** A key in answers, in LiteLLM's words. `token` is the hash of the secret, never the secret. */
export const keyInfo = {
  token: z.string().describe('SHA-256 of the key: names it without giving it away'),
  keyId: z.string().describe('Names the key for good, also after its secret was replaced'),
  keyName: z.string().describe('The key, masked'),
  keyAlias: z.string().nullable().describe('The name people use for the key'),
  teamId: z.string().nullable().describe('The team the key belongs to'),
  userId: z.string().nullable().describe('The user the key belongs to'),
  organizationId: z.string().nullable().describe('The organization the key belongs to'),
  ...grantInfo,
  blocked: z.boolean().describe('Whether the key is refused for now'),
  expires: timestamp.nullable().describe('When the key stops working; null is never'),
  status: z.enum(['active', 'blocked', 'expired']).describe('Whether the key works now, and if not, why'),
  rotationCount: z.int().describe('How often its secret was replaced'),
  ...stampInfo,
};

function statusOf(key: Key, now: Date): 'active' | 'blocked' | 'expired' {
  if (key.blocked) return 'blocked';
  return key.expiresAt && key.expiresAt <= now ? 'expired' : 'active';
}

export const describeKey = (key: Key, now: Date) => ({
  token: key.token,
  keyId: key.id,
  keyName: key.name,
  keyAlias: key.alias ?? null,
  teamId: key.teamId ?? null,
  userId: key.userId ?? null,
  organizationId: key.organizationId ?? null,
  models: key.models,
  maxBudget: key.maxBudget ?? null,
  spend: key.spend,
  metadata: key.metadata,
  blocked: key.blocked,
  expires: key.expiresAt ?? null,
  status: statusOf(key, now),
  rotationCount: key.rotationCount,
  createdAt: key.createdAt,
  createdBy: key.createdBy,
  updatedAt: key.updatedAt,
  updatedBy: key.updatedBy,
});

const row = answer(keyInfo);

/** A key as it travels: what administrators see, and what the audit log keeps. */
export const encodeKey = (info: ReturnType<typeof describeKey>) => row.encode(info);

const owners = {
  keyAlias: label.nullable().optional().describe('The name people use for the key; unique'),
  teamId: id.nullable().optional().describe('The team the key belongs to, by id or alias'),
  userId: id.nullable().optional().describe('The user the key belongs to, by id; made if it is not there'),
  organizationId: id.nullable().optional().describe('The organization the key belongs to'),
};

const expiry = {
  duration: lifetime.optional().describe('How long the key works from now, such as 30m, 12h or 90d; null is for ever'),
  expires: timestamp.optional().describe('When the key stops working, in place of a duration'),
};

export const newKeyFields = {
  ...owners,
  ...grantFields,
  ...expiry,
  blocked: z.boolean().default(false).describe('Whether the key is refused from the start'),
  key: z
    .string()
    .startsWith('sk-', "Invalid key format. LiteLLM Virtual Key must start with 'sk-'")
    .min(20, 'must be at least 20 characters')
    .max(200, 'must be at most 200 characters')
    .regex(/^[\x21-\x7e]+$/, 'must be printable ASCII without blanks')
    .nullable()
    .optional()
    .describe('A key of your own in place of a generated one'),
};

export const keyChanges = {
  ...owners,
  ...grantChanges,
  ...expiry,
  blocked: z.boolean().optional().describe('Whether the key is refused for now'),
};

/** LiteLLM's fields of a key that have no effect here yet. */
export const unservedKeyFields = [
  'soft_budget',
  'budget_duration',
  'budget_id',
  'budget_limits',
  'budget_fallbacks',
  'project_id',
  'agent_id',
  'max_parallel_requests',
  'tpm_limit',
  'rpm_limit',
  'rpm_limit_type',
  'tpm_limit_type',
  'model_rpm_limit',
  'model_tpm_limit',
  'model_max_budget',
  'tags',
  'permissions',
  'aliases',
  'config',
  'allowed_cache_controls',
  'allowed_routes',
  'allowed_passthrough_routes',
  'guardrails',
  'policies',
  'prompts',
  'enforced_params',
  'object_permission',
  'allowed_vector_store_indexes',
  'router_settings',
  'access_group_ids',
  'key_type',
  'auto_rotate',
  'rotation_interval',
  'send_invite_email',
  'spend',
] as const;
