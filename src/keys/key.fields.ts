import { parseNetwork } from '../kernel/networks.ts';
import { z } from 'zod';
import { durationText, lifetime } from '../kernel/duration.ts';
import {
  grace,
  grantChanges,
  grantFields,
  givenMetadata,
  id,
  label,
  models,
  orNone,
  passedPaths,
} from '../kernel/fields.ts';
import { budgetLimits, limitFields, throughputType } from '../kernel/limits.ts';
import { usd } from '../kernel/money.ts';
import { isRouteEntry, routeGroupNames } from '../kernel/route-groups.ts';
import { timestamp } from '../kernel/wire.ts';

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

const networkText = z.string().refine((text) => parseNetwork(text) !== undefined, {
  error: 'must be an address or a network, such as 192.0.2.7, 10.0.0.0/8 or 2001:db8::/32',
});

const routeEntry = z.string().refine(isRouteEntry, {
  error: ({ input }) =>
    `"${String(input).slice(0, 80)}" is no route: write a path such as /v1/chat/completions, one that ends in *, or one of ${routeGroupNames.join(', ')}`,
});

/** What is said of a new key and of one there is in the same way: absent leaves or is nothing, null clears. */
const settings = {
  ...limitFields,
  budgetId: id.nullable().optional().describe('A shared budget, whose limits count where the key has none of its own'),
  budgetLimits,
  rpmLimitType: throughputType
    .nullable()
    .optional()
    .describe('guaranteed_throughput sets its requests per minute aside in the team; best_effort_throughput does not'),
  tpmLimitType: throughputType
    .nullable()
    .optional()
    .describe('guaranteed_throughput sets its tokens per minute aside in the team; best_effort_throughput does not'),
  aliases: z
    .record(z.string().min(1).max(255), z.string().min(1).max(255))
    .nullable()
    .optional()
    .describe('Models by the names the client sends, such as {"fast": "gpt-4o-mini"}'),
  allowedRoutes: z
    .array(routeEntry)
    .max(200)
    .nullable()
    .optional()
    .describe('Routes the key may call: paths, paths that end in *, or names of groups; none means those of its role'),
  allowedPassthroughRoutes: passedPaths.describe(
    'Pass-through routes the key may call, such as /openai or /vertex_ai/v1, each with what is below it; none means all',
  ),
  allowedIps: z
    .array(networkText)
    .max(200)
    .nullable()
    .optional()
    .describe('Addresses and networks the key may be used from, such as 10.0.0.0/8; none means everywhere'),
  keyType: z
    .enum(['default', 'llm_api', 'management', 'read_only'])
    .nullable()
    .optional()
    .describe('What the key is for, in place of allowed_routes'),
  permissions: z
    .strictObject({ get_spend_routes: z.boolean().optional().describe('Whether the key may read spend') })
    .nullable()
    .optional()
    .describe('What the key may do beyond its role'),
  tags: z.array(label).max(100).nullable().optional().describe('Tags its spend is booked under'),
  enforcedParams: z
    .array(z.string().min(1).max(255))
    .max(100)
    .nullable()
    .optional()
    .describe('Parameters every call must carry, such as user or metadata.generation_name'),
  autoRotate: z.boolean().nullable().optional().describe('Whether the daemon replaces its secret from time to time'),
  rotationInterval: durationText
    .nullable()
    .optional()
    .describe('How often the daemon replaces its secret, such as 30d'),
  spend: usd.optional().describe('US dollars spent so far; administrators only'),
};

const secret = z
  .string()
  .startsWith('sk-', "Invalid key format. LiteLLM Virtual Key must start with 'sk-'")
  .min(20, 'must be at least 20 characters')
  .max(200, 'must be at most 200 characters')
  .regex(/^[\x21-\x7e]+$/, 'must be printable ASCII without blanks')
  .nullable()
  .optional();

export const newKeyFields = {
  ...owners,
  ...grantFields,
  ...settings,
  ...expiry,
  // Absent and empty differ where the configuration has a default for them, and null is absent.
  models: orNone(models, undefined)
    .optional()
    .describe('Models that may be called, patterns such as openai/* included; none means all'),
  metadata: orNone(givenMetadata, undefined).optional().describe('Free JSON, kept as it is given'),
  spend: orNone(usd, undefined).optional().describe('US dollars spent so far; administrators only'),
  blocked: z.boolean().nullable().optional().describe('Whether the key is refused from the start'),
  key: secret.describe('A key of your own in place of a generated one; administrators only'),
};

/** The key of a service: it belongs to a team and to no user. */
export const serviceKeyFields = (() => {
  const { userId: _user, teamId: _team, ...rest } = newKeyFields;
  return { teamId: id.describe('The team the key belongs to, by id or alias'), ...rest };
})();

/** What raises the budget of a key for a time. */
const temporary = {
  tempBudgetIncrease: usd
    .nullable()
    .optional()
    .describe('US dollars added to max_budget until temp_budget_expiry; null ends it'),
  tempBudgetExpiry: timestamp.nullable().optional().describe('Until when that is; null ends it'),
};

export const keyChanges = {
  ...owners,
  ...grantChanges,
  ...settings,
  ...temporary,
  ...expiry,
  blocked: z.boolean().nullable().optional().describe('Whether the key is refused for now'),
};

/** Edits of the list of models, made on the list there is: two at a time do not undo each other. */
export const modelEdits = {
  addModels: models.min(1).optional().describe('Models that may be called as well as the present ones'),
  removeModels: models.min(1).optional().describe('Models taken from the present ones'),
};

export const rotationFields = {
  gracePeriod: grace,
  newKey: secret.describe('The new secret, in place of a generated one; administrators only'),
};

/** LiteLLM's fields of a key that have no effect here yet. */
export const unservedKeyFields = [
  'budget_fallbacks',
  'project_id',
  'agent_id',
  'config',
  'allowed_cache_controls',
  'guardrails',
  'policies',
  'prompts',
  'object_permission',
  'allowed_vector_store_indexes',
  'router_settings',
  'access_group_ids',
  'send_invite_email',
] as const;
