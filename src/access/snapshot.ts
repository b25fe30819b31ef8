import { z } from 'zod';
import { roles } from '../kernel/operation.ts';
import type { Snapshot } from './key-cache.ts';
import { budgetEntities } from './principal.ts';
import { createTextSigner } from './signed-text.ts';

/** Of the stored text's form. Daemons of two versions may share a Redis: what is of another form is another's. */
export const snapshotVersion = 'v6';

const text = z.string();
const orNone = text.nullable();
const flag = z.boolean();
const texts = z.array(text);

/** Limits are bigint, which JSON has not: they travel as text. */
const amount = z
  .string()
  .regex(/^-?\d{1,30}n$/)
  .transform((digits) => BigInt(digits.slice(0, -1)));

const holder = { entity: z.enum(budgetEntities), id: text, label: text };
const budget = z.strictObject({
  ...holder,
  max: amount.nullable(),
  increase: z.strictObject({ amount, untilMs: z.number() }).exactOptional(),
  soft: amount.exactOptional(),
  model: text.exactOptional(),
  duration: text.exactOptional(),
});
const count = z.number().nullable();
const rate = z.strictObject({
  ...holder,
  requests: count,
  tokens: count,
  parallel: count,
  model: text.exactOptional(),
});
const names = z.record(text, text);

const Shape = z.strictObject({
  readAt: z.number(),
  principal: z.strictObject({
    kind: z.literal('key'),
    keyId: text,
    hash: text.regex(/^[0-9a-f]{64}$/),
    alias: orNone,
    userId: orNone,
    teamId: orNone,
    organizationId: orNone,
    role: z.enum(roles),
    blocked: flag,
    teamBlocked: flag,
    userBlocked: flag,
    organizationBlocked: flag,
    teamAlias: orNone,
    expiresAt: z.number().nullable(),
    models: texts,
    teamModels: texts,
    userModels: texts.exactOptional(),
    organizationModels: texts,
    aliases: names,
    teamAliases: names,
    allowedRoutes: texts,
    passedPaths: texts,
    teamPassedPaths: texts,
    allowedIps: texts,
    enforcedParams: texts,
    tags: texts,
    sharedBudgets: texts,
    budgets: z.array(budget),
    rates: z.array(rate),
    modelBudgets: z.array(budget),
    modelRates: z.array(rate),
  }),
});

export interface SnapshotCodec {
  encode(hash: string, snapshot: Snapshot): string;
  /** Undefined for whatever was not written by a daemon with the same secret, under the same hash. */
  decode(hash: string, stored: string): Snapshot | undefined;
}

/**
 * Snapshots as they stand in a place that others may write to: Redis often has no password, and whoever may write there
 * must not become an administrator, nor be taken for somebody else.
 *
 * The authentication code covers the version and the hash, so that no entry counts under another's name. What stands
 * there tells its reader no secret: hashes of keys, which open nothing.
 *
 * @param secret one that all daemons of a database have; the code's key is derived from it for this purpose alone
 */
export function createSnapshotCodec(secret: Buffer | string): SnapshotCodec {
  const signer = createTextSigner(secret, 'cache-mac');
  return {
    encode(hash, snapshot) {
      const json = JSON.stringify(snapshot, (_, value: unknown) => (typeof value === 'bigint' ? `${value}n` : value));
      return signer.sign(json, [snapshotVersion, hash]);
    },
    decode(hash, stored) {
      const json = signer.open(stored, [snapshotVersion, hash]);
      if (json === undefined) return undefined;
      try {
        return Shape.safeParse(JSON.parse(json)).data;
      } catch {
        return undefined;
      }
    },
  };
}
