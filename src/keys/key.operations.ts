import { z } from 'zod';
import { label, text } from '../kernel/fields.ts';
import { operation } from '../kernel/operation.ts';
import { maskSecret } from '../kernel/mask.ts';
import { answer, wire } from '../kernel/wire.ts';
import { keyChanges, modelEdits, newKeyFields, serviceKeyFields, unservedKeyFields } from './key.fields.ts';
import { atStake, modelEditFlags, named, one, ownerFlags, shownKey } from './key.flags.ts';
import { keyListOperations } from './key.list.operations.ts';
import { describeDetailed, existingKey, type Needs, secretInfo, withSecret } from './key.details.ts';
import { keyStateOperations } from './key.state.operations.ts';
import { detailedKeyInfo, keyInfo } from './key.wire.ts';

const madeKey = secretInfo.key.nullable().describe('The key. It is never shown again; null when it was there already');

export const generateKey = operation({
  command: ['key', 'generate'],
  aliases: ['create', 'new'],
  route: ['POST', '/key/generate'],
  summary: 'Create a virtual key',
  description: 'The key is shown once. Only its hash is kept, so nobody can show it again; a lost key is rotated.',
  input: wire({
    ...newKeyFields,
    isServiceAccount: z
      .boolean()
      .default(false)
      .describe('Whether it is the key of a service: of a team, and of no user'),
  }),
  output: answer({ ...secretInfo, ...detailedKeyInfo, key: madeKey }),
  unserved: unservedKeyFields,
  access: 'scoped',
  existing: existingKey,
  cli: {
    ...shownKey,
    secret: 'key',
    flags: { ...ownerFlags, key: false, is_service_account: 'service-account', spend: false },
    done: ({ key_alias: alias, team_id: team }) =>
      `Key ${text(alias ?? 'without alias')} created${team ? ` in team ${text(team)}` : ''}`,
    examples: [
      [
        'A key for a person, with a budget',
        'gatewayctl key generate --alias anna-laptop --max-budget 25 --expires 90d',
      ],
      [
        'Ten dollars a day, sixty requests a minute',
        'gatewayctl key generate --alias web --max-budget 10 --budget-duration 1d --rpm-limit 60',
      ],
      ['For a service of a team', 'gatewayctl key generate --alias billing --team platform --service-account'],
      [
        'Once, however often the script runs: prints nothing when the key is there',
        'gatewayctl key generate --alias ci-runner --max-budget 25 --if-not-exists -q',
      ],
      ['Into a variable of a script', 'gatewayctl key generate --alias ci-runner --models gpt-4o,openai/* -q'],
    ],
  },
  run: async (needs: Needs, { isServiceAccount, ...fields }) =>
    withSecret(
      needs,
      await needs.keys.generate(fields, isServiceAccount ? '/key/service-account/generate' : '/key/generate'),
    ),
});

/** LiteLLM's route for it; the command is `key generate --service-account`. */
export const generateServiceKey = operation({
  command: ['key', 'generate-service-account'],
  route: ['POST', '/key/service-account/generate'],
  summary: 'Create the key of a service',
  description: 'It belongs to a team and to no user, so it goes on working when people leave.',
  input: wire({ ...serviceKeyFields, userId: z.string().nullable().optional().describe('Left empty: it has no user') }),
  output: answer({ ...secretInfo, ...detailedKeyInfo }),
  unserved: unservedKeyFields,
  access: 'scoped',
  run: async (needs: Needs, { userId: _none, ...fields }) =>
    withSecret(needs, await needs.keys.generate(fields, '/key/service-account/generate')),
});

export const updateKey = operation({
  command: ['key', 'update'],
  route: ['POST', '/key/update'],
  summary: 'Change a virtual key',
  description: 'What is not named stays as it is; `none` removes a limit, an owner or an expiry.',
  input: wire({ key: named, ...keyChanges, ...modelEdits }),
  output: answer({ key: z.string().describe('The hash of the key'), ...detailedKeyInfo }),
  unserved: unservedKeyFields,
  access: 'scoped',
  cli: {
    ...shownKey,
    ...one,
    flags: { ...ownerFlags, ...modelEditFlags },
    done: ({ key_alias: alias, key_name: name }) => `Key ${text(alias ?? name)} updated`,
    examples: [
      ['More money', 'gatewayctl key update ci-runner --max-budget 50'],
      ['No limit any more', 'gatewayctl key update ci-runner --max-budget none'],
      [
        'Twenty dollars more, for a week',
        'gatewayctl key update ci-runner --temp-budget-increase 20 --temp-budget-expiry 7d',
      ],
      ['One model more, one less', 'gatewayctl key update ci-runner --add-model gpt-5 --remove-model gpt-4o'],
    ],
  },
  run: async (needs: Needs, { key: reference, ...changes }) => {
    const key = await needs.keys.update(reference, changes);
    return { key: key.token, ...(await describeDetailed(needs, key)) };
  },
});

const bulkFields = {
  key: named,
  budgetId: keyChanges.budgetId,
  maxBudget: keyChanges.maxBudget,
  teamId: keyChanges.teamId,
  tags: keyChanges.tags,
};

/** One key each on the command line: `key update` in a loop says what failed as well. */
export const updateKeys = operation({
  command: ['key', 'bulk-update'],
  route: ['POST', '/key/bulk_update'],
  summary: 'Change several virtual keys, each by itself',
  description: 'One that cannot be changed does not keep the others from it.',
  input: wire({ keys: z.array(wire(bulkFields)).min(1).max(500).describe('The keys, each with its changes') }),
  output: answer({
    totalRequested: z.int().describe('How many keys were named'),
    successfulUpdates: z
      .array(
        answer({
          key: z.string().describe('The key as it was named'),
          keyInfo: answer(keyInfo).describe('The key as it is now'),
        }),
      )
      .describe('The keys that were changed'),
    failedUpdates: z
      .array(
        answer({
          key: z.string().describe('The key as it was named'),
          keyInfo: z.null().describe('Nothing'),
          failedReason: z.string().describe('Why it was not changed'),
        }),
      )
      .describe('The keys that stay as they were'),
  }),
  access: 'admin',
  run: async ({ keys }: Needs, { keys: updates }) => {
    const outcomes = await keys.updateEach(updates);
    const changed = outcomes.flatMap((each) => ('done' in each ? [each] : []));
    const described = await keys.describe(changed.map(({ done }) => done));
    return {
      totalRequested: outcomes.length,
      successfulUpdates: described.map((info, index) => ({
        key: shownReference(changed[index]?.reference ?? info.token),
        keyInfo: info,
      })),
      failedUpdates: outcomes.flatMap((each) =>
        'failure' in each
          ? [{ key: shownReference(each.reference), keyInfo: null, failedReason: each.failure.message }]
          : [],
      ),
    };
  },
});

/** LiteLLM gives back what was sent; a secret goes into logs of answers all the same. */
const shownReference = (reference: string): string => (reference.startsWith('sk-') ? maskSecret(reference) : reference);

export const deleteKeys = operation({
  command: ['key', 'delete'],
  aliases: ['rm'],
  route: ['POST', '/key/delete'],
  summary: 'Delete virtual keys',
  description:
    'All of them or, when one is not there, none. What they spent stays in the reports, and what they were in a record.',
  input: wire({
    keys: z
      .array(named)
      .max(500)
      .nullable()
      .default([])
      .describe('The keys: alias, id or hash; over HTTP the key itself too'),
    keyAliases: z.array(label).max(500).nullable().default([]).describe('Keys by their alias'),
  }),
  output: answer({ deletedKeys: z.array(z.string()).describe('The hashes of the deleted keys') }),
  access: 'scoped',
  cli: {
    args: ['keys'],
    completes: { keys: 'key' },
    keyStdin: 'keys',
    flags: { key_aliases: false },
    confirm: 'moderate',
    atStake,
    result: 'deleted_keys',
    done: ({ deleted_keys: deleted }) => `${Array.isArray(deleted) ? deleted.length : 0} deleted`,
    examples: [['Without a question, in a script', 'gatewayctl key delete ci-runner --yes']],
  },
  run: async ({ keys }: Needs, { keys: references, keyAliases }) => {
    const deleted = await keys.delete([...(references ?? []), ...(keyAliases ?? [])]);
    return { deletedKeys: deleted.map(({ token }) => token) };
  },
});

export const keyOperations = [
  generateKey,
  generateServiceKey,
  ...keyListOperations,
  updateKey,
  updateKeys,
  deleteKeys,
  ...keyStateOperations,
] as const;
