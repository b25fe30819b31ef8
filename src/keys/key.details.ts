import { z } from 'zod';
import { ifThere } from '../kernel/existing.ts';
import type { TeamService } from '../teams/team.service.ts';
import type { UserService } from '../users/user.service.ts';
import type { Key } from './key.entity.ts';
import type { KeyService, WithSecret } from './key.service.ts';
import { keyComparisons } from './key.compare.ts';
import { describeBudget } from './key.wire.ts';

export interface Needs {
  readonly keys: KeyService;
  readonly teams: TeamService;
  readonly users: UserService;
  readonly now: Date;
}

/** What an answer with a new secret has beside the key. */
export const secretInfo = {
  key: z.string().describe('The key. It is never shown again'),
  tokenId: z.string().describe('The same as token'),
};

/** A key with its shared budget. */
export async function describeDetailed({ keys }: Pick<Needs, 'keys'>, key: Key) {
  const budgets = await keys.budgets([key]);
  return { ...(await keys.describeOne(key)), litellmBudgetTable: describeBudget(budgets.get(key.budgetId ?? '')) };
}

export const withSecret = async (needs: Needs, { key, secret }: WithSecret) => ({
  key: secret,
  tokenId: key.token,
  ...(await describeDetailed(needs, key)),
});

/** A key that is there already: its secret cannot be shown again. */
export const withoutSecret = async (needs: Needs, key: Key) => ({
  key: null,
  tokenId: key.token,
  ...(await describeDetailed(needs, key)),
});

/** How one more `generate` of the same key finds the first. */
export const existingKey = {
  names: ['key_alias'],
  find: async (needs: Needs, { keyAlias: alias }: { keyAlias?: string | null | undefined }) => {
    const key = alias ? await ifThere(needs.keys.get(alias)) : undefined;
    return key?.alias === alias && key ? withoutSecret(needs, key) : undefined;
  },
  compare: keyComparisons,
} as const;
