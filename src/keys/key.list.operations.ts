import { z } from 'zod';
import { duration } from '../kernel/duration.ts';
import { label } from '../kernel/fields.ts';
import { operation } from '../kernel/operation.ts';
import { pageFields, pagesFor } from '../kernel/page.ts';
import { answer, wire } from '../kernel/wire.ts';
import type { Key } from './key.entity.ts';
import { describeDetailed } from './key.details.ts';
import { named, one, shownKey } from './key.flags.ts';
import type { KeyList } from './key.list.ts';
import type { KeyService } from './key.service.ts';
import { deletedKeyInfo, describeBudget, describeDeletedKey, detailedKeyInfo, keyInfo } from './key.wire.ts';

export interface Needs {
  keys: KeyService;
  keyList: KeyList;
}

const holder = answer({
  userId: z.string().describe('Names the user'),
  userEmail: z.string().nullable().describe('The address of the user'),
  userAlias: z.string().nullable().describe('The name people use for the user'),
})
  .nullable()
  .optional()
  .describe('The user of the key, when expanded');

const total = {
  totalCount: z.int().describe('How many there are on all pages; an estimate above 10,000 where counting takes long'),
  currentPage: z.int().describe('Which page this is'),
  totalPages: z.int().describe('How many pages there are'),
};

const totalOf = (count: number, { page, size }: { page: number; size: number }) => ({
  totalCount: count,
  currentPage: page,
  totalPages: pagesFor(count, size),
});

const filters = {
  teamId: label.optional().describe('Only keys of this team, by id or alias'),
  userId: label.optional().describe('Only keys of this user'),
  organizationId: label.optional().describe('Only keys of this organization'),
  keyAlias: label.optional().describe('Only the key with this alias; * stands for anything'),
  keyHash: label.optional().describe('Only the key with this hash'),
  tag: label.optional().describe('Only keys with this tag'),
  status: z.enum(['active', 'expired', 'blocked', 'deleted']).optional().describe('Only keys of this status'),
  expiringIn: duration.optional().describe('Only keys that stop working within this time, such as 7d'),
  rotationDue: z
    .boolean()
    .default(false)
    .describe('Only keys whose secret a daemon should have replaced by now, and has not'),
  includeTeamKeys: z
    .boolean()
    .default(false)
    .describe('Also keys of the teams of that user; without a user, of the teams the caller may look into'),
  includeCreatedByKeys: z.boolean().default(false).describe('Also keys that user created'),
};

export const listKeys = operation({
  command: ['key', 'list'],
  aliases: ['ls'],
  route: ['GET', '/key/list'],
  summary: 'List virtual keys',
  description: 'Whoever does not administer everything gets the keys they may look at one by one.',
  input: wire({
    ...pageFields({ default: 10, max: 100 }),
    ...filters,
    sortBy: z
      .enum(['created_at', 'updated_at', 'key_alias', 'spend', 'max_budget', 'expires'])
      .optional()
      .describe('What the list is sorted by; created_at if absent'),
    sortOrder: z.enum(['asc', 'desc']).default('desc').describe('In which direction it is sorted'),
    returnFullObject: z.boolean().default(false).describe('Whole keys instead of their hashes'),
    expand: z
      .array(z.enum(['user']))
      .default([])
      .describe('What is added to whole keys: user'),
  }),
  output: answer({
    keys: z
      .array(z.union([z.string(), answer(deletedKeyInfo), answer({ ...detailedKeyInfo, user: holder })]))
      .describe('The hashes, or the keys when whole ones are asked for'),
    ...total,
  }),
  unserved: ['project_id', 'access_group_id'],
  access: 'scoped',
  cli: {
    ...shownKey,
    result: 'keys',
    pages: { page: 'page', size: 'size', total: 'total_count' },
    completes: { key_alias: 'key', key_hash: 'key', tag: 'tag' },
    fixed: { return_full_object: true },
    flags: {
      return_full_object: false,
      expand: false,
      key_alias: 'alias',
      key_hash: 'id',
      team_id: { name: 'team', placeholder: 'team', completes: 'team' },
      user_id: { name: 'user', placeholder: 'user', completes: 'user' },
      organization_id: { name: 'org', placeholder: 'org', completes: 'org' },
      include_team_keys: 'team-keys',
      include_created_by_keys: 'created-keys',
      size: 'limit',
      sort_by: 'sort',
      sort_order: 'order',
    },
    examples: [
      ['The keys of a team', 'gatewayctl key list --team platform'],
      ['What stops working within a week', 'gatewayctl key list --expiring-in 7d --sort expires --order asc'],
      ['What is not rotated as it should be', 'gatewayctl key list --rotation-due'],
      ['Their ids, for a loop', 'gatewayctl key list --team platform -q'],
    ],
  },
  run: async (needs: Needs, { returnFullObject, expand, ...filter }) => {
    if (filter.status === 'deleted') {
      const { deleted, total: count } = await needs.keyList.deleted(filter);
      const shown = deleted.map((each) => (returnFullObject ? describeDeletedKey(each) : each.token));
      return { keys: shown, ...totalOf(count, filter) };
    }
    const { keys: found, total: count } = await needs.keyList.keys(filter);
    const isExpanded = returnFullObject && expand.includes('user');
    const shown = returnFullObject ? await wholeKeys(needs, found, isExpanded) : found.map(({ token }) => token);
    return { keys: shown, ...totalOf(count, filter) };
  },
});

/** Whole keys, with their users where wanted: a statement for all budgets, one for what was spent and one for all users. */
async function wholeKeys({ keys, keyList }: Needs, found: readonly Key[], isExpanded: boolean) {
  const budgets = await keys.budgets(found);
  const users = isExpanded ? await keyList.holders(found) : undefined;
  return (await keys.describe(found)).map((key) =>
    Object.assign(key, {
      litellmBudgetTable: describeBudget(budgets.get(key.budgetId ?? '')),
      ...(users && { user: users.get(key.userId ?? '') ?? null }),
    }),
  );
}

export const getKey = operation({
  command: ['key', 'get'],
  aliases: ['info', 'show'],
  route: ['GET', '/key/info'],
  summary: 'Show one virtual key',
  input: wire({ key: named.optional() }),
  output: answer({
    key: z.string().describe('The hash of the key'),
    info: answer(detailedKeyInfo).describe('The key'),
  }),
  access: 'scoped',
  cli: {
    ...shownKey,
    ...one,
    isOwnWithout: true,
    result: 'info',
    examples: [['Its budget, spend and expiry', 'gatewayctl key get ci-runner']],
  },
  run: async ({ keys }: Needs, { key: reference }) => {
    const key = reference === undefined ? await keys.own() : await keys.get(reference);
    return { key: key.token, info: await describeDetailed({ keys }, key) };
  },
});

export const getKeys = operation({
  command: ['key', 'get-several'],
  route: ['POST', '/v2/key/info'],
  isRead: true,
  summary: 'Show several virtual keys',
  description: 'Those that are not there, or may not be seen, are left out.',
  input: wire({ keys: z.array(named).min(1).max(100).describe('The keys: alias, id, hash or the key itself') }),
  output: answer({
    key: z.array(z.string()).describe('The hashes of the keys'),
    info: z.array(answer(keyInfo)).describe('The keys'),
  }),
  access: 'scoped',
  run: async ({ keys }: Needs, { keys: references }) => {
    const found = await keys.some(references);
    return { key: found.map(({ token }) => token), info: await keys.describe(found) };
  },
});

export const listKeyAliases = operation({
  command: ['key', 'aliases'],
  route: ['GET', '/key/aliases'],
  summary: 'List the aliases of virtual keys',
  input: wire({
    ...pageFields({ default: 50, max: 100 }),
    search: label.optional().describe('Only aliases that contain this'),
  }),
  output: answer({
    aliases: z.array(z.string()).describe('The aliases, in order'),
    ...total,
    size: z.int().describe('Aliases on a page'),
  }),
  access: 'scoped',
  run: async ({ keyList }: Needs, filter) => {
    const { aliases, total: count } = await keyList.aliases(filter);
    return { aliases, ...totalOf(count, filter), size: filter.size };
  },
});

export const keyListOperations = [listKeys, getKey, getKeys, listKeyAliases] as const;
