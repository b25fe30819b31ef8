import { z } from 'zod';
import type { Key } from './key.entity.ts';
import type { KeyService, WithSecret } from './key.service.ts';
import { describeBudget, describeKey } from './key.wire.ts';

export interface Needs {
  readonly keys: KeyService;
  readonly now: Date;
}

/** What an answer with a new secret has beside the key. */
export const secretInfo = {
  key: z.string().describe('The key. It is never shown again'),
  tokenId: z.string().describe('The same as token'),
};

/** A key with its shared budget. */
export async function describeDetailed({ keys, now }: Needs, key: Key) {
  const budgets = await keys.budgets([key]);
  return { ...describeKey(key, now), litellmBudgetTable: describeBudget(budgets.get(key.budgetId ?? '')) };
}

export const withSecret = async (needs: Needs, { key, secret }: WithSecret) => ({
  key: secret,
  tokenId: key.token,
  ...(await describeDetailed(needs, key)),
});
