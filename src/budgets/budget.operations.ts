import { z } from 'zod';
import { GatewayError } from '../kernel/errors.ts';
import { id, text } from '../kernel/fields.ts';
import { limitFlags } from '../kernel/limit-flags.ts';
import { type CommandLine, operation } from '../kernel/operation.ts';
import { describePage, pageInfo, pageInput } from '../kernel/page.ts';
import { answer, describeField, wire, wireSchema } from '../kernel/wire.ts';
import type { Budget } from './budget.entity.ts';
import { type Holders, holdersInWords } from './budget.holders.ts';
import type { BudgetService } from './budget.service.ts';
import { budgetFields, budgetInfo, describeBudget, encodeBudget, newBudgetFields } from './budget.wire.ts';

interface Needs {
  budgets: BudgetService;
  now: Date;
}

/** LiteLLM's lists without pages end at a number instead. */
const ROWS_AT_MOST = 1_000;

const reference = id.describe('The budget, by id');

/** The one is computed by the clock: there is nothing to set. The other is what a holder's own `models` say. */
const unserved = ['budget_reset_at', 'allowed_models'] as const;

const sharedInfo = {
  ...budgetInfo,
  usedBy: z.record(z.string(), z.int()).describe('How many of what share the budget'),
};

const describeShared = (budget: Budget, used: ReadonlyMap<string, Holders>, now: Date) => ({
  ...describeBudget(budget, now),
  usedBy: used.get(budget.id) ?? {},
});

const flags: CommandLine['flags'] = { max_parallel_requests: limitFlags.max_parallel_requests };

const shown: Partial<CommandLine> = {
  columns: ['budget_id', 'max_budget', 'soft_budget', 'budget_duration', 'budget_reset_at'],
  wide: ['rpm_limit', 'tpm_limit', 'max_parallel_requests', 'created_at', 'created_by'],
  headings: {
    budget_id: 'ID',
    max_budget: 'BUDGET',
    soft_budget: 'SOFT',
    budget_duration: 'DURATION',
    budget_reset_at: 'RESETS',
    rpm_limit: 'RPM',
    tpm_limit: 'TPM',
    max_parallel_requests: 'PARALLEL',
  },
  id: 'budget_id',
};

const holders = z.record(z.string(), z.number()).catch({});

const shownWithHolders: Partial<CommandLine> = {
  ...shown,
  columns: [...(shown.columns ?? []), 'used_by'],
  headings: { ...shown.headings, used_by: 'USED BY' },
  cells: { used_by: (value) => holdersInWords(holders.parse(value)) },
};

export const createBudget = operation({
  command: ['budget', 'create'],
  aliases: ['new'],
  route: ['POST', '/budget/new'],
  summary: 'Create a budget that several objects can share',
  description: 'Each of them is held to the whole of it by itself.',
  input: wire(newBudgetFields),
  output: answer(budgetInfo),
  unserved,
  access: 'admin',
  existing: {
    names: ['budget_id'],
    find: async ({ budgets, now }: Needs, { budgetId }) => {
      const budget = await budgets.get(budgetId);
      return budget && describeBudget(budget, now);
    },
  },
  cli: {
    ...shown,
    args: ['budget_id'],
    flags,
    done: ({ budget_id: budget }) => `Budget ${text(budget)} created`,
    examples: [['Ten dollars a day', 'gatewayctl budget create daily --max-budget 10 --budget-duration 1d']],
  },
  run: async ({ budgets, now }: Needs, fields) => describeBudget(await budgets.create(fields), now),
});

export const updateBudget = operation({
  command: ['budget', 'update'],
  route: ['POST', '/budget/update'],
  summary: 'Change a budget for all who share it',
  description: 'What is not named stays as it is; `none` removes a limit.',
  input: wire({ budgetId: reference, ...budgetFields }),
  output: answer(budgetInfo),
  unserved,
  access: 'admin',
  cli: {
    ...shown,
    args: ['budget_id'],
    completes: { budget_id: 'budget' },
    flags,
    done: ({ budget_id: budget }) => `Budget ${text(budget)} updated`,
    examples: [['More money', 'gatewayctl budget update daily --max-budget 20']],
  },
  run: async ({ budgets, now }: Needs, { budgetId, ...changes }) =>
    describeBudget(await budgets.update(budgetId, changes), now),
});

export const listBudgets = operation({
  command: ['budget', 'list'],
  aliases: ['ls'],
  route: ['GET', '/v2/budget/list'],
  summary: 'List budgets',
  input: wire(pageInput),
  output: answer({ budgets: z.array(answer(sharedInfo)).describe('The budgets, the newest first'), ...pageInfo }),
  access: 'admin',
  cli: {
    ...shownWithHolders,
    result: 'budgets',
    pages: { page: 'page', size: 'page_size', total: 'total' },
    flags: { page_size: 'limit' },
    examples: [['With their limits by the minute', 'gatewayctl budget list -o wide']],
  },
  run: async ({ budgets, now }: Needs, page) => {
    const found = await budgets.list({ page: page.page, size: page.pageSize });
    const used = await budgets.holdersOf(found.map(({ id: budgetId }) => budgetId));
    return {
      budgets: found.map((budget) => describeShared(budget, used, now)),
      ...describePage(await budgets.count(), page),
    };
  },
});

export const getBudget = operation({
  command: ['budget', 'get'],
  aliases: ['info', 'show'],
  route: ['GET', '/v2/budget/info'],
  summary: 'Show one budget and who shares it',
  input: wire({ budgetId: reference }),
  output: answer(sharedInfo),
  access: 'admin',
  cli: {
    ...shownWithHolders,
    args: ['budget_id'],
    completes: { budget_id: 'budget' },
    examples: [['By its id', 'gatewayctl budget get daily']],
  },
  run: async ({ budgets, now }: Needs, { budgetId }) => {
    const budget = await budgets.require(budgetId);
    const used = await budgets.holdersOf([budget.id]);
    return describeShared(budget, used, now);
  },
});

/** LiteLLM's list: no pages. */
export const listAllBudgets = operation({
  command: ['budget', 'list-all'],
  route: ['GET', '/budget/list'],
  summary: 'List budgets without pages',
  description: 'The newest 1,000; /v2/budget/list has pages.',
  input: wire({}),
  output: z.array(answer(budgetInfo)),
  access: 'admin',
  run: async ({ budgets, now }: Needs) =>
    (await budgets.list({ page: 1, size: ROWS_AT_MOST })).map((budget) => describeBudget(budget, now)),
});

/** LiteLLM's look at several at once: one that is not there is left out. */
export const getBudgets = operation({
  command: ['budget', 'get-several'],
  route: ['POST', '/budget/info'],
  summary: 'Show several budgets',
  input: wire({ budgets: z.array(id).max(ROWS_AT_MOST).describe('The budgets, by id') }),
  output: z.array(answer(budgetInfo)),
  access: 'admin',
  isRead: true,
  run: async ({ budgets, now }: Needs, { budgets: ids }) => {
    if (ids.length === 0) {
      throw new GatewayError('invalid', 'invalid_request_error', 'budgets: no budget was named', { param: 'budgets' });
    }
    return [...(await budgets.of(ids)).values()].map((budget) => describeBudget(budget, now));
  },
});

const settingInfo = {
  fieldName: z.string().describe('The field'),
  fieldType: z.string().describe('What kind of value it holds'),
  fieldDescription: z.string().describe('What it means'),
  fieldValue: z.unknown().describe('What it is set to; null is not set'),
  storedInDb: z.boolean().describe('Whether it is set'),
  fieldDefaultValue: z.unknown().describe('What it is when nobody sets it'),
};

/** A budget field by field, as LiteLLM's programs edit it. */
export const budgetSettings = operation({
  command: ['budget', 'settings'],
  route: ['GET', '/budget/settings'],
  summary: 'Show a budget field by field',
  input: wire({ budgetId: reference }),
  output: z.array(answer(settingInfo)),
  access: 'admin',
  run: async ({ budgets, now }: Needs, { budgetId }) => {
    const row: Record<string, unknown> = encodeBudget(describeBudget(await budgets.require(budgetId), now));
    return Object.entries(wireSchema(wire(budgetFields)).properties ?? {}).map(([fieldName, field]) => ({
      fieldName,
      fieldType: describeField(field).type ?? 'object',
      fieldDescription: field.description ?? '',
      fieldValue: row[fieldName] ?? null,
      storedInDb: (row[fieldName] ?? null) !== null,
      fieldDefaultValue: null,
    }));
  },
});

export const deleteBudget = operation({
  command: ['budget', 'delete'],
  aliases: ['rm'],
  route: ['POST', '/budget/delete'],
  summary: 'Delete a budget that nothing shares any more',
  input: wire({ id: reference }),
  output: answer(budgetInfo),
  access: 'admin',
  cli: {
    ...shown,
    args: ['id'],
    completes: { id: 'budget' },
    confirm: 'moderate',
    done: ({ budget_id: budget }) => `Budget ${text(budget)} deleted`,
    examples: [['In a script', 'gatewayctl budget delete daily --yes']],
  },
  run: async ({ budgets, now }: Needs, { id: budgetId }) => describeBudget(await budgets.remove(budgetId), now),
});

export const budgetOperations = [
  createBudget,
  updateBudget,
  listBudgets,
  getBudget,
  listAllBudgets,
  getBudgets,
  budgetSettings,
  deleteBudget,
] as const;
