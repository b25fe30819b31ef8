import { z } from 'zod';
import { text } from '../kernel/fields.ts';
import { usd } from '../kernel/money.ts';
import { operation } from '../kernel/operation.ts';
import { answer, timestamp, wire } from '../kernel/wire.ts';
import { type Needs, secretInfo, withSecret } from './key.details.ts';
import { keyChanges, rotationFields, unservedKeyFields } from './key.fields.ts';
import { atStake, named, one, rotationFlags, shownKey } from './key.flags.ts';
import { detailedKeyInfo, keyInfo } from './key.wire.ts';

const blocking = (verb: 'block' | 'unblock', summary: string, description: string) =>
  operation({
    command: ['key', verb],
    route: ['POST', `/key/${verb}`],
    summary,
    description,
    input: wire({ key: named }),
    output: answer(keyInfo),
    access: 'scoped',
    cli: {
      ...shownKey,
      ...one,
      done: ({ key_alias: alias, key_name: name }) => `Key ${text(alias ?? name)} ${verb}ed`,
      examples: [[`By its alias`, `gatewayctl key ${verb} ci-runner`]],
    },
    run: async ({ keys }: Needs, { key }) => keys.describeOne(await keys.setBlocked(key, verb === 'block')),
  });

export const blockKey = blocking(
  'block',
  'Refuse a virtual key for now',
  'Every daemon refuses the key within a second.',
);
export const unblockKey = blocking(
  'unblock',
  'Let a blocked virtual key work again',
  'Every daemon accepts it within a second.',
);

export const rotateKey = operation({
  command: ['key', 'rotate'],
  aliases: ['regenerate'],
  route: ['POST', '/key/regenerate'],
  alsoAt: [['POST', '/key/:key/regenerate']],
  summary: 'Replace the secret of a virtual key',
  description:
    'Its id, owners, limits and spend stay, unless they are changed with it. With a grace, old and new secret both work until it ends.',
  input: wire({ key: named, ...rotationFields, ...keyChanges }),
  output: answer({ ...secretInfo, ...detailedKeyInfo }),
  unserved: [...unservedKeyFields, 'new_master_key'],
  access: 'scoped',
  cli: {
    ...shownKey,
    ...one,
    flags: rotationFlags,
    secret: 'key',
    confirm: 'moderate',
    atStake,
    done: ({ key_alias: alias, key_name: name }) => `Key ${text(alias ?? name)} has a new secret`,
    examples: [
      ['The old secret works for a day more', 'gatewayctl key rotate ci-runner --grace 24h --yes'],
      ['Straight into a secret store', 'gatewayctl key rotate ci-runner --yes -q | vault kv put secret/ci key=-'],
    ],
  },
  run: async (needs: Needs, { key, ...fields }) => withSecret(needs, await needs.keys.regenerate(key, fields)),
});

export const resetKeySpend = operation({
  command: ['key', 'reset-spend'],
  route: ['POST', '/key/:key/reset_spend'],
  summary: 'Set what a virtual key has spent to less',
  description: 'The key can spend again what its budget then leaves. The reports keep what was spent.',
  input: wire({
    key: named,
    resetTo: usd.describe('US dollars spent from now on; at most what it spent and its budget'),
  }),
  output: answer({
    keyHash: z.string().describe('The hash of the key'),
    spend: usd.describe('US dollars spent so far, as it counts now'),
    previousSpend: usd.describe('US dollars spent before'),
    maxBudget: usd.nullable().describe('US dollars that may be spent'),
    budgetResetAt: timestamp.nullable().describe('When the budget begins anew'),
  }),
  access: 'scoped',
  cli: {
    ...one,
    flags: { reset_to: 'to' },
    columns: ['key_hash', 'spend', 'previous_spend', 'max_budget', 'budget_reset_at'],
    headings: { key_hash: 'ID', previous_spend: 'BEFORE', max_budget: 'BUDGET', budget_reset_at: 'RESETS' },
    id: 'key_hash',
    confirm: 'moderate',
    atStake,
    done: ({ spend, previous_spend: before }) => `Spend is ${text(spend)}, and was ${text(before)}`,
    examples: [['The budget anew', 'gatewayctl key reset-spend ci-runner --to 0 --yes']],
  },
  run: async ({ keys }: Needs, { key: reference, resetTo }) => {
    const { key, previous } = await keys.resetSpend(reference, resetTo);
    const { token, spend, maxBudget, budgetResetAt } = await keys.describeOne(key);
    return { keyHash: token, spend, previousSpend: previous, maxBudget, budgetResetAt };
  },
});

export const keyStateOperations = [blockKey, unblockKey, rotateKey, resetKeySpend] as const;
