import { z } from 'zod';
import { type Comparison, isSameValue } from '../kernel/existing.ts';
import { id, text } from '../kernel/fields.ts';
import { limitColumnNames, limitFlags, limitHeadings } from '../kernel/limit-flags.ts';
import { type CommandLine, operation } from '../kernel/operation.ts';
import { describePage, pageInfo, pageInput } from '../kernel/page.ts';
import { answer, wire, wireSchema } from '../kernel/wire.ts';
import type { Tag } from './tag.entity.ts';
import { unknownTag } from './tag.errors.ts';
import type { TagService } from './tag.service.ts';
import { tagFields, tagInfo } from './tag.wire.ts';

interface Needs {
  tags: TagService;
}

/** LiteLLM's lists without pages end at a number instead. */
const ROWS_AT_MOST = 1_000;

const reference = id.describe('The tag, by name');

/** In LiteLLM a list of deployments that calls with the tag are routed to: nothing here routes by tags. */
const unserved = ['models'] as const;

const shown: Partial<CommandLine> = {
  columns: ['name', 'description', 'spend', 'max_budget'],
  wide: ['budget_id', ...limitColumnNames, 'created_at', 'created_by'],
  headings: { max_budget: 'BUDGET', ...limitHeadings },
  id: 'name',
};

const changed = {
  message: z.string().describe('What was done'),
  tag: answer(tagInfo).describe('The tag'),
};

const describeChange = async (needs: Needs, tag: Tag, done: 'created' | 'updated' | 'deleted') => ({
  message: `Tag ${tag.name} ${done} successfully`,
  tag: await needs.tags.describe(tag),
});

const newTag = wire({ name: id.describe('Names the tag'), ...tagFields });

/** The answer holds the tag one level down, as LiteLLM's does. */
const inTag: Comparison<Needs> = ({ field, wanted, found }) => {
  const is: unknown = new Map(Object.entries(Object(found['tag']))).get(field);
  return isSameValue(wanted, is) ? [] : [{ field, wanted, is }];
};

export const createTag = operation({
  command: ['tag', 'create'],
  aliases: ['new'],
  route: ['POST', '/tag/new'],
  summary: 'Create a tag with limits of its own',
  description: 'They are for all calls that carry the tag together.',
  input: newTag,
  output: answer(changed),
  unserved,
  access: 'admin',
  existing: {
    names: ['name'],
    find: async (needs: Needs, { name }) => {
      const tag = await needs.tags.find(name);
      return tag && describeChange(needs, tag, 'created');
    },
    compare: Object.fromEntries(Object.keys(wireSchema(newTag).properties ?? {}).map((field) => [field, inTag])),
  },
  cli: {
    ...shown,
    result: 'tag',
    args: ['name'],
    flags: limitFlags,
    done: (_, { name }) => `Tag ${text(name)} created`,
    examples: [['With a budget for every day', 'gatewayctl tag create batch --max-budget 100 --budget-duration 1d']],
  },
  run: async (needs: Needs, fields) => describeChange(needs, await needs.tags.create(fields), 'created'),
});

export const listTags = operation({
  command: ['tag', 'list'],
  aliases: ['ls'],
  route: ['GET', '/v2/tag/list'],
  summary: 'List tags',
  input: wire(pageInput),
  output: answer({ tags: z.array(answer(tagInfo)).describe('The tags, the newest first'), ...pageInfo }),
  access: 'admin',
  cli: {
    ...shown,
    result: 'tags',
    pages: { page: 'page', size: 'page_size', total: 'total' },
    flags: { page_size: 'limit' },
    examples: [['With their limits', 'gatewayctl tag list -o wide']],
  },
  run: async (needs: Needs, page) => ({
    tags: await needs.tags.describeAll(await needs.tags.list({ page: page.page, size: page.pageSize })),
    ...describePage(await needs.tags.count(), page),
  }),
});

/** LiteLLM's list: no pages. */
export const listAllTags = operation({
  command: ['tag', 'list-all'],
  route: ['GET', '/tag/list'],
  summary: 'List tags without pages',
  description: 'The newest 1,000; /v2/tag/list has pages.',
  input: wire({}),
  output: z.array(answer(tagInfo)),
  access: 'admin',
  run: async (needs: Needs) => needs.tags.describeAll(await needs.tags.list({ page: 1, size: ROWS_AT_MOST })),
});

export const getTag = operation({
  command: ['tag', 'get'],
  aliases: ['info', 'show'],
  route: ['GET', '/v2/tag/info'],
  summary: 'Show one tag',
  input: wire({ name: reference }),
  output: answer(tagInfo),
  access: 'admin',
  cli: {
    ...shown,
    args: ['name'],
    completes: { name: 'tag' },
    examples: [['Its budget and spend', 'gatewayctl tag get batch']],
  },
  run: async (needs: Needs, { name }) => needs.tags.describe(await needs.tags.get(name)),
});

/** LiteLLM's look at several at once, by name: one that is not there is left out. */
export const getTags = operation({
  command: ['tag', 'get-several'],
  route: ['POST', '/tag/info'],
  summary: 'Show several tags',
  input: wire({ names: z.array(id).min(1).max(ROWS_AT_MOST).describe('The tags, by name') }),
  output: z.record(z.string(), answer(tagInfo)),
  access: 'admin',
  isRead: true,
  run: async (needs: Needs, { names }) => {
    const found = await needs.tags.describeAll(await needs.tags.several(names));
    if (found.length === 0) throw unknownTag(names.join(', '), 'names');
    return Object.fromEntries(found.map((tag) => [tag.name, tag]));
  },
});

export const updateTag = operation({
  command: ['tag', 'update'],
  route: ['POST', '/tag/update'],
  summary: 'Change a tag',
  description: 'What is not named stays as it is; `none` removes a limit.',
  input: wire({ name: reference, ...tagFields }),
  output: answer(changed),
  unserved,
  access: 'admin',
  cli: {
    ...shown,
    result: 'tag',
    args: ['name'],
    completes: { name: 'tag' },
    flags: limitFlags,
    done: (_, { name }) => `Tag ${text(name)} updated`,
    examples: [['More money', 'gatewayctl tag update batch --max-budget 200']],
  },
  run: async (needs: Needs, { name, ...changes }) =>
    describeChange(needs, await needs.tags.update(name, changes), 'updated'),
});

export const deleteTag = operation({
  command: ['tag', 'delete'],
  aliases: ['rm'],
  route: ['POST', '/tag/delete'],
  summary: 'Delete a tag with its limits',
  description: 'What was spent on calls that carry it stays in the reports.',
  input: wire({ name: reference }),
  output: answer(changed),
  access: 'admin',
  cli: {
    ...shown,
    result: 'tag',
    args: ['name'],
    completes: { name: 'tag' },
    confirm: 'moderate',
    done: (_, { name }) => `Tag ${text(name)} deleted`,
    examples: [['In a script', 'gatewayctl tag delete batch --yes']],
  },
  run: async (needs: Needs, { name }) => {
    const described = await describeChange(needs, await needs.tags.get(name), 'deleted');
    await needs.tags.remove(name);
    return described;
  },
});

export const tagOperations = [createTag, listTags, listAllTags, getTag, getTags, updateTag, deleteTag] as const;
