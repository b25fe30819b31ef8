import { z } from 'zod';
import { grantInfo, stampInfo } from '../kernel/fields.ts';
import {
  budgetLimitsInfo,
  describeBudgetLimits,
  describeLimits,
  limitInfo,
  throughputTypes,
} from '../kernel/limits.ts';
import { usd } from '../kernel/money.ts';
import { answer, timestamp } from '../kernel/wire.ts';
import type { DeletedKey, Key } from './key.entity.ts';
import type { SharedBudget } from './key.limits.ts';

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
  ...limitInfo,
  budgetId: z.string().nullable().describe('The shared budget whose limits count where the key has none of its own'),
  budgetLimits: budgetLimitsInfo,
  tempBudgetIncrease: usd.nullable().describe('US dollars added to max_budget until temp_budget_expiry'),
  tempBudgetExpiry: timestamp.nullable().describe('Until when that is, or was'),
  rpmLimitType: z
    .enum(throughputTypes)
    .nullable()
    .describe('Whether its requests per minute are set aside in the team'),
  tpmLimitType: z.enum(throughputTypes).nullable().describe('Whether its tokens per minute are set aside in the team'),
  aliases: z.record(z.string(), z.string()).describe('Models by the names the client sends'),
  allowedIps: z.array(z.string()).describe('Addresses and networks the key may be used from; none means everywhere'),
  allowedRoutes: z.array(z.string()).describe('Routes the key may call; none means those of its user’s role'),
  allowedPassthroughRoutes: z
    .array(z.string())
    .describe('Pass-through routes the key may call, each with what is below it; none means all'),
  permissions: z.record(z.string(), z.boolean()).describe('What the key may do beyond its role'),
  tags: z.array(z.string()).describe('Tags its spend is booked under'),
  enforcedParams: z.array(z.string()).describe('Parameters every call must carry'),
  isServiceAccount: z.boolean().describe('Whether it is the key of a service and of no person'),
  autoRotate: z.boolean().describe('Whether its secret is replaced by the daemon'),
  rotationInterval: z.string().nullable().describe('How often that is done'),
  lastRotationAt: timestamp.nullable().describe('When its secret was last replaced'),
  keyRotationAt: timestamp.nullable().describe('When the daemon replaces its secret next'),
  rotationCount: z.int().describe('How often its secret was replaced'),
  blocked: z.boolean().describe('Whether the key is refused for now'),
  expires: timestamp.nullable().describe('When the key stops working; null is never'),
  status: z.enum(['active', 'blocked', 'expired']).describe('Whether the key works now, and if not, why'),
  ...stampInfo,
};

function statusOf(key: Key, now: Date): 'active' | 'blocked' | 'expired' {
  if (key.blocked) return 'blocked';
  return key.expiresAt && key.expiresAt <= now ? 'expired' : 'active';
}

/** @param spent in the present period, where its budget is for one */
export const describeKey = (key: Key, now: Date, spent = key.spend) => ({
  token: key.token,
  keyId: key.id,
  keyName: key.name,
  keyAlias: key.alias ?? null,
  teamId: key.teamId ?? null,
  userId: key.userId ?? null,
  organizationId: key.organizationId ?? null,
  models: key.models,
  maxBudget: key.maxBudget ?? null,
  spend: spent,
  totalSpend: key.spend,
  metadata: key.metadata,
  ...describeLimits(key, now),
  budgetId: key.budgetId ?? null,
  budgetLimits: describeBudgetLimits(key.budgetLimits, now),
  tempBudgetIncrease: key.tempBudgetIncrease ?? null,
  tempBudgetExpiry: key.tempBudgetExpiry ?? null,
  rpmLimitType: key.rpmLimitType ?? null,
  tpmLimitType: key.tpmLimitType ?? null,
  aliases: key.aliases,
  allowedRoutes: key.allowedRoutes,
  allowedPassthroughRoutes: key.allowedPassthroughRoutes,
  allowedIps: key.allowedIps,
  permissions: key.permissions,
  tags: key.tags,
  enforcedParams: key.enforcedParams,
  isServiceAccount: key.isServiceAccount,
  autoRotate: key.autoRotate,
  rotationInterval: key.rotationInterval ?? null,
  lastRotationAt: key.lastRotationAt ?? null,
  keyRotationAt: key.keyRotationAt ?? null,
  rotationCount: key.rotationCount,
  blocked: key.blocked,
  expires: key.expiresAt ?? null,
  status: statusOf(key, now),
  createdAt: key.createdAt,
  createdBy: key.createdBy,
  updatedAt: key.updatedAt,
  updatedBy: key.updatedBy,
});

/** The shared budget of a key, as LiteLLM shows it. */
export const budgetTable = answer({
  budgetId: z.string().describe('Names the budget'),
  maxBudget: usd.nullable().describe('US dollars that may be spent'),
  softBudget: usd.nullable().describe('US dollars after which a warning is given'),
  budgetDuration: z.string().nullable().describe('How long the budget is for'),
  tpmLimit: z.int().nullable().describe('Tokens per minute'),
  rpmLimit: z.int().nullable().describe('Requests per minute'),
  maxParallelRequests: z.int().nullable().describe('Requests under way at once'),
  modelMaxBudget: z.record(z.string(), z.unknown()).describe('Budgets by model'),
})
  .nullable()
  .describe('The shared budget of the key');

export const detailedKeyInfo = { ...keyInfo, litellmBudgetTable: budgetTable };

export const describeBudget = (budget: SharedBudget | undefined) => {
  if (!budget) return null;
  const { id, ...limits } = budget;
  return { budgetId: id, ...limits };
};

const row = answer(keyInfo);

/** A key as it travels: what administrators see, and what the audit log and the records of deleted keys keep. */
export const encodeKey = (info: ReturnType<typeof describeKey>) => row.encode(info);

/** What is known of a key that is gone. A record is as old as its deletion, so any of its fields may be missing. */
export const deletedKeyInfo = {
  token: keyInfo.token,
  keyId: keyInfo.keyId,
  keyName: keyInfo.keyName.optional(),
  keyAlias: keyInfo.keyAlias,
  teamId: keyInfo.teamId,
  userId: keyInfo.userId,
  organizationId: keyInfo.organizationId,
  models: keyInfo.models.optional(),
  maxBudget: z.number().nullable().optional().describe('US dollars that might be spent'),
  spend: z.number().optional().describe('US dollars spent by then'),
  metadata: keyInfo.metadata.optional(),
  expires: z.string().nullable().optional().describe('When the key would have stopped working'),
  createdAt: keyInfo.createdAt,
  createdBy: keyInfo.createdBy.optional(),
  status: z.literal('deleted').describe('That the key is gone'),
  deletedAt: timestamp.describe('When it was deleted'),
  deletedBy: z.string().describe('Who deleted it'),
  deletedByApiKey: z.string().nullable().describe('With which key, by hash; null without a virtual key'),
  litellmChangedBy: z.string().nullable().describe('For whom the caller said to act'),
};

const RecordFields = z
  .object({
    key_name: z.string(),
    models: z.array(z.string()),
    max_budget: z.number().nullable(),
    spend: z.number(),
    metadata: z.record(z.string(), z.unknown()),
    expires: z.string().nullable(),
    created_by: z.string(),
  })
  .partial();

export function describeDeletedKey(deleted: DeletedKey) {
  const kept = RecordFields.parse(deleted.record);
  return {
    token: deleted.token,
    keyId: deleted.id,
    keyName: kept.key_name,
    keyAlias: deleted.alias ?? null,
    teamId: deleted.teamId ?? null,
    userId: deleted.userId ?? null,
    organizationId: deleted.organizationId ?? null,
    models: kept.models,
    maxBudget: kept.max_budget,
    spend: kept.spend,
    metadata: kept.metadata,
    expires: kept.expires,
    createdAt: deleted.createdAt,
    createdBy: kept.created_by,
    status: 'deleted' as const,
    deletedAt: deleted.deletedAt,
    deletedBy: deleted.deletedBy,
    deletedByApiKey: deleted.deletedByApiKey ?? null,
    litellmChangedBy: deleted.litellmChangedBy ?? null,
  };
}
