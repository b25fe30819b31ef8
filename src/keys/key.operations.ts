import { z } from 'zod';
import { lifetime } from '../kernel/duration.ts';
import { ifThere } from '../kernel/existing.ts';
import { expiresFlag, grace, label, text } from '../kernel/fields.ts';
import { type CommandLine, operation } from '../kernel/operation.ts';
import { pageFields, pagesFor } from '../kernel/page.ts';
import { answer, timestamp, wire } from '../kernel/wire.ts';
import type { TeamService } from '../teams/team.service.ts';
import type { UserService } from '../users/user.service.ts';
import type { Key } from './key.entity.ts';
import { keyComparisons } from './key.compare.ts';
import type { KeyService } from './key.service.ts';
import { describeKey, keyChanges, keyInfo, newKeyFields, unservedKeyFields } from './key.wire.ts';

interface Needs {
  keys: KeyService;
  teams: TeamService;
  users: UserService;
  now: Date;
}

const reference = z.string().min(1).describe('The key: its alias, its id or its hash; over HTTP the key itself too');

const secretInfo = {
  key: z.string().describe('The key. It is never shown again'),
  tokenId: z.string().describe('The same as token'),
};

/** A key that is there already: its secret cannot be shown again. */
const withoutSecret = (key: Key, now: Date) => ({ key: null, tokenId: key.token, ...describeKey(key, now) });

const withSecret = ({ key, secret }: Awaited<ReturnType<KeyService['generate']>>, now: Date) => ({
  key: secret,
  tokenId: key.token,
  ...describeKey(key, now),
});

const ownerFlags: CommandLine['flags'] = {
  key_alias: 'alias',
  team_id: { name: 'team', placeholder: 'team', completes: 'team' },
  user_id: { name: 'user', placeholder: 'user', completes: 'user' },
  organization_id: 'org',
  models: { name: 'models', placeholder: 'model,…', completes: 'model' },
  duration: expiresFlag,
  expires: false,
};

const columns = ['key_alias', 'key_name', 'team_id', 'user_id', 'spend', 'max_budget', 'expires', 'status'];

const shown: Partial<CommandLine> = {
  columns,
  wide: ['token', 'key_id', 'models', 'organization_id', 'created_at', 'created_by', 'updated_at'],
  headings: {
    key_alias: 'ALIAS',
    key_name: 'KEY',
    team_id: 'TEAM',
    user_id: 'USER',
    max_budget: 'BUDGET',
    token: 'ID',
  },
  id: 'token',
};

export const generateKey = operation({
  command: ['key', 'generate'],
  aliases: ['create', 'new'],
  route: ['POST', '/key/generate'],
  summary: 'Create a virtual key',
  description: 'The key is shown once. Only its hash is kept, so nobody can show it again; a lost key is rotated.',
  input: wire(newKeyFields),
  output: answer({
    ...secretInfo,
    ...keyInfo,
    key: secretInfo.key.nullable().describe('The key. It is never shown again; null when it was there already'),
  }),
  unserved: unservedKeyFields,
  access: 'admin',
  existing: {
    names: ['key_alias'],
    find: async ({ keys, now }: Needs, { keyAlias: alias }) => {
      const key = alias ? await ifThere(keys.get(alias)) : undefined;
      return key?.alias === alias && key ? withoutSecret(key, now) : undefined;
    },
    compare: keyComparisons,
  },
  cli: {
    ...shown,
    secret: 'key',
    flags: { ...ownerFlags, key: false },
    done: ({ key_alias: alias, team_id: team }) =>
      `Key ${text(alias ?? 'without alias')} created${team ? ` in team ${text(team)}` : ''}`,
    examples: [
      [
        'A key for a person, with a budget',
        'gatewayctl key generate --alias anna-laptop --max-budget 25 --expires 90d',
      ],
      ['Into a variable of a script', 'gatewayctl key generate --alias ci-runner --models gpt-4o,openai/* -q'],
      [
        'Once, however often the script runs: prints nothing when the key is there',
        'gatewayctl key generate --alias ci-runner --max-budget 25 --if-not-exists -q',
      ],
    ],
  },
  run: async ({ keys, now }: Needs, fields) => withSecret(await keys.generate(fields), now),
});

export const listKeys = operation({
  command: ['key', 'list'],
  aliases: ['ls'],
  route: ['GET', '/key/list'],
  summary: 'List virtual keys',
  input: wire({
    ...pageFields({ default: 10, max: 100 }),
    teamId: label.optional().describe('Only keys of this team, by id or alias'),
    userId: label.optional().describe('Only keys of this user'),
    organizationId: label.optional().describe('Only keys of this organization'),
    keyAlias: label.optional().describe('Only the key with this alias'),
    keyHash: label.optional().describe('Only the key with this hash'),
    sortBy: z.enum(['created_at', 'key_alias']).default('created_at').describe('What the list is sorted by'),
    sortOrder: z.enum(['asc', 'desc']).default('desc').describe('In which direction it is sorted'),
    returnFullObject: z.boolean().default(false).describe('Whole keys instead of their hashes'),
  }),
  output: answer({
    keys: z
      .array(z.union([z.string(), answer(keyInfo)]))
      .describe('The hashes, or the keys when whole ones are asked for'),
    totalCount: z.int().describe('How many keys there are on all pages'),
    currentPage: z.int().describe('Which page this is'),
    totalPages: z.int().describe('How many pages there are'),
  }),
  unserved: ['include_team_keys', 'include_created_by_keys', 'expand', 'status', 'project_id', 'access_group_id'],
  access: 'admin',
  cli: {
    ...shown,
    result: 'keys',
    pages: { page: 'page', size: 'size', total: 'total_count' },
    completes: { key_alias: 'key', key_hash: 'key' },
    fixed: { return_full_object: true },
    flags: {
      return_full_object: false,
      key_alias: 'alias',
      key_hash: 'id',
      team_id: { name: 'team', placeholder: 'team', completes: 'team' },
      user_id: { name: 'user', placeholder: 'user', completes: 'user' },
      organization_id: 'org',
      size: 'limit',
      sort_by: 'sort',
      sort_order: 'order',
    },
    examples: [
      ['The keys of a team', 'gatewayctl key list --team platform'],
      ['Their ids, for a loop', 'gatewayctl key list --team platform -q'],
    ],
  },
  run: async ({ keys, now }: Needs, { returnFullObject, ...filter }) => {
    const { keys: found, total } = await keys.list(filter);
    return {
      keys: found.map((key) => (returnFullObject ? describeKey(key, now) : key.token)),
      totalCount: total,
      currentPage: filter.page,
      totalPages: pagesFor(total, filter.size),
    };
  },
});

export const getKey = operation({
  command: ['key', 'get'],
  aliases: ['info', 'show'],
  route: ['GET', '/key/info'],
  summary: 'Show one virtual key',
  input: wire({ key: reference.optional() }),
  output: answer({
    key: z.string().describe('The hash of the key'),
    info: answer(keyInfo).describe('The key'),
  }),
  access: 'scoped',
  cli: {
    ...shown,
    args: ['key'],
    completes: { key: 'key' },
    keyStdin: 'key',
    isOwnWithout: true,
    result: 'info',
    examples: [['Its budget, spend and expiry', 'gatewayctl key get ci-runner']],
  },
  run: async ({ keys, now }: Needs, { key: named }) => {
    const key = named === undefined ? await keys.own() : await keys.get(named);
    return { key: key.token, info: describeKey(key, now) };
  },
});

export const updateKey = operation({
  command: ['key', 'update'],
  route: ['POST', '/key/update'],
  summary: 'Change a virtual key',
  description: 'What is not named stays as it is; `none` removes a limit, an owner or an expiry.',
  input: wire({ key: reference, ...keyChanges }),
  output: answer({ key: z.string().describe('The hash of the key'), ...keyInfo }),
  unserved: unservedKeyFields,
  access: 'admin',
  cli: {
    ...shown,
    args: ['key'],
    completes: { key: 'key' },
    keyStdin: 'key',
    flags: ownerFlags,
    done: ({ key_alias: alias, key_name: name }) => `Key ${text(alias ?? name)} updated`,
    examples: [
      ['More money', 'gatewayctl key update ci-runner --max-budget 50'],
      ['No limit any more', 'gatewayctl key update ci-runner --max-budget none'],
    ],
  },
  run: async ({ keys, now }: Needs, { key: named, ...changes }) => {
    const key = await keys.update(named, changes);
    return { key: key.token, ...describeKey(key, now) };
  },
});

export const deleteKeys = operation({
  command: ['key', 'delete'],
  aliases: ['rm'],
  route: ['POST', '/key/delete'],
  summary: 'Delete virtual keys',
  description: 'All of them or, when one is not there, none. What they spent stays in the reports.',
  input: wire({
    keys: z.array(reference).max(500).default([]).describe('The keys: alias, id or hash; over HTTP the key itself too'),
    keyAliases: z.array(label).max(500).default([]).describe('Keys by their alias'),
  }),
  output: answer({ deletedKeys: z.array(z.string()).describe('The hashes of the deleted keys') }),
  access: 'admin',
  cli: {
    args: ['keys'],
    completes: { keys: 'key' },
    keyStdin: 'keys',
    flags: { key_aliases: false },
    confirm: 'moderate',
    atStake: { look: 'key get', field: 'key' },
    result: 'deleted_keys',
    done: ({ deleted_keys: deleted }) => `${Array.isArray(deleted) ? deleted.length : 0} deleted`,
    examples: [['Without a question, in a script', 'gatewayctl key delete ci-runner --yes']],
  },
  run: async ({ keys }: Needs, { keys: named, keyAliases }) => {
    const deleted = await keys.delete([...named, ...keyAliases]);
    return { deletedKeys: deleted.map(({ token }) => token) };
  },
});

const blocking = (verb: 'block' | 'unblock', summary: string, description: string) =>
  operation({
    command: ['key', verb],
    route: ['POST', `/key/${verb}`],
    summary,
    description,
    input: wire({ key: reference }),
    output: answer(keyInfo),
    access: 'admin',
    cli: {
      ...shown,
      args: ['key'],
      completes: { key: 'key' },
      keyStdin: 'key',
      done: ({ key_alias: alias, key_name: name }) => `Key ${text(alias ?? name)} ${verb}ed`,
      examples: [[`By its alias`, `gatewayctl key ${verb} ci-runner`]],
    },
    run: async ({ keys, now }: Needs, { key }) => describeKey(await keys.setBlocked(key, verb === 'block'), now),
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
  description: 'Its alias, owners, limits and spend stay. With a grace, old and new secret both work until it ends.',
  input: wire({
    key: reference,
    gracePeriod: grace,
    newKey: newKeyFields.key,
    duration: lifetime.optional().describe('How long the key works from now; null is for ever'),
    expires: timestamp.optional().describe('When the key stops working, in place of a duration'),
  }),
  output: answer({ ...secretInfo, ...keyInfo }),
  unserved: [...unservedKeyFields, 'new_master_key', 'key_alias', 'models', 'metadata', 'max_budget'],
  access: 'admin',
  cli: {
    ...shown,
    args: ['key'],
    completes: { key: 'key' },
    keyStdin: 'key',
    flags: { grace_period: 'grace', new_key: false, duration: expiresFlag, expires: false },
    secret: 'key',
    confirm: 'moderate',
    atStake: { look: 'key get', field: 'key' },
    done: ({ key_alias: alias, key_name: name }) => `Key ${text(alias ?? name)} has a new secret`,
    examples: [
      ['The old secret works for a day more', 'gatewayctl key rotate ci-runner --grace 24h --yes'],
      ['Straight into a secret store', 'gatewayctl key rotate ci-runner --yes -q | vault kv put secret/ci key=-'],
    ],
  },
  run: async ({ keys, now }: Needs, { key, gracePeriod, ...rest }) =>
    withSecret(await keys.regenerate(key, { grace: gracePeriod, ...rest }), now),
});

export const keyOperations = [
  generateKey,
  listKeys,
  getKey,
  updateKey,
  deleteKeys,
  blockKey,
  unblockKey,
  rotateKey,
] as const;
