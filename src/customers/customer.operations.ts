import { z } from 'zod';
import { id, text } from '../kernel/fields.ts';
import { limitColumnNames, limitFlags, limitHeadings } from '../kernel/limit-flags.ts';
import { type CommandLine, operation } from '../kernel/operation.ts';
import { describePage, pageInfo, pageInput } from '../kernel/page.ts';
import { answer, wire } from '../kernel/wire.ts';
import type { CustomerService } from './customer.service.ts';
import { customerChanges, customerInfo, newCustomerFields } from './customer.wire.ts';

interface Needs {
  customers: CustomerService;
}

/** LiteLLM's lists without pages end at a number instead. */
const ROWS_AT_MOST = 1_000;

const reference = id.describe('The customer, by id');
const references = z.array(reference).min(1).max(100).describe('The customers, by id');

const unserved = ['default_model', 'object_permission', 'spend'] as const;

const shown: Partial<CommandLine> = {
  columns: ['user_id', 'alias', 'spend', 'max_budget', 'blocked'],
  wide: ['allowed_model_region', 'budget_id', ...limitColumnNames, 'created_at', 'created_by'],
  headings: { user_id: 'ID', max_budget: 'BUDGET', allowed_model_region: 'REGION', ...limitHeadings },
  id: 'user_id',
};

const flags = { ...limitFlags, allowed_model_region: { name: 'region', placeholder: 'eu|us' } };

const named = (ids: unknown): string => (Array.isArray(ids) ? ids.map(text).join(', ') : '');

export const createCustomer = operation({
  command: ['customer', 'create'],
  aliases: ['new'],
  route: ['POST', '/customer/new'],
  alsoAt: [['POST', '/end_user/new']],
  summary: 'Create a customer, with limits of its own',
  description: 'Calls name their customer in the field user. One that was never created can be served too.',
  input: wire(newCustomerFields),
  output: answer(customerInfo),
  unserved,
  access: 'admin',
  existing: {
    names: ['user_id'],
    find: async (needs: Needs, { userId }) => {
      const customer = await needs.customers.find(userId);
      return customer && needs.customers.describe(customer);
    },
  },
  cli: {
    ...shown,
    args: ['user_id'],
    flags,
    done: ({ user_id: customer }) => `Customer ${text(customer)} created`,
    examples: [['With a budget', 'gatewayctl customer create acme-42 --max-budget 20 --budget-duration 1mo']],
  },
  run: async (needs: Needs, fields) => needs.customers.describe(await needs.customers.create(fields)),
});

export const listCustomers = operation({
  command: ['customer', 'list'],
  aliases: ['ls'],
  route: ['GET', '/v2/customer/list'],
  summary: 'List customers',
  input: wire(pageInput),
  output: answer({ customers: z.array(answer(customerInfo)).describe('The customers, the newest first'), ...pageInfo }),
  access: 'admin',
  cli: {
    ...shown,
    result: 'customers',
    pages: { page: 'page', size: 'page_size', total: 'total' },
    flags: { page_size: 'limit' },
    examples: [['With their limits', 'gatewayctl customer list -o wide']],
  },
  run: async (needs: Needs, page) => ({
    customers: await needs.customers.describeAll(await needs.customers.list({ page: page.page, size: page.pageSize })),
    ...describePage(await needs.customers.count(), page),
  }),
});

/** LiteLLM's list: no pages. */
export const listAllCustomers = operation({
  command: ['customer', 'list-all'],
  route: ['GET', '/customer/list'],
  alsoAt: [['GET', '/end_user/list']],
  summary: 'List customers without pages',
  description: 'The newest 1,000; /v2/customer/list has pages.',
  input: wire({}),
  output: z.array(answer(customerInfo)),
  access: 'admin',
  run: async (needs: Needs) => needs.customers.describeAll(await needs.customers.list({ page: 1, size: ROWS_AT_MOST })),
});

export const getCustomer = operation({
  command: ['customer', 'get'],
  aliases: ['info', 'show'],
  route: ['GET', '/customer/info'],
  alsoAt: [['GET', '/end_user/info']],
  summary: 'Show one customer',
  input: wire({ endUserId: reference }),
  output: answer(customerInfo),
  access: 'admin',
  cli: {
    ...shown,
    args: ['end_user_id'],
    completes: { end_user_id: 'customer' },
    examples: [['Its budget and spend', 'gatewayctl customer get acme-42']],
  },
  run: async (needs: Needs, { endUserId }) =>
    needs.customers.describe(await needs.customers.get(endUserId, 'end_user_id')),
});

export const updateCustomer = operation({
  command: ['customer', 'update'],
  route: ['POST', '/customer/update'],
  alsoAt: [['POST', '/end_user/update']],
  summary: 'Change a customer',
  description: 'What is not named stays as it is; `none` removes a limit.',
  input: wire({ userId: reference, ...customerChanges }),
  output: answer(customerInfo),
  unserved,
  access: 'admin',
  cli: {
    ...shown,
    args: ['user_id'],
    completes: { user_id: 'customer' },
    flags,
    done: ({ user_id: customer }) => `Customer ${text(customer)} updated`,
    examples: [
      ['A shared budget in place of its own', 'gatewayctl customer update acme-42 --max-budget none --budget free'],
    ],
  },
  run: async (needs: Needs, { userId, ...changes }) =>
    needs.customers.describe(await needs.customers.update(userId, changes)),
});

export const deleteCustomers = operation({
  command: ['customer', 'delete'],
  aliases: ['rm'],
  route: ['POST', '/customer/delete'],
  alsoAt: [['POST', '/end_user/delete']],
  summary: 'Delete customers with their limits',
  description: 'All of them or, when one is not there, none. What was spent for them stays in the reports.',
  input: wire({ userIds: references }),
  output: answer({
    deletedCustomers: z.int().describe('How many were deleted'),
    message: z.string().describe('Which were deleted'),
  }),
  access: 'admin',
  cli: {
    args: ['user_ids'],
    completes: { user_ids: 'customer' },
    columns: ['deleted_customers'],
    confirm: 'moderate',
    done: (_, { user_ids: ids }) => `${named(ids)} deleted`,
    examples: [['In a script', 'gatewayctl customer delete acme-42 --yes']],
  },
  run: async ({ customers }: Needs, { userIds }) => {
    const gone = await customers.remove(userIds);
    const ids = gone.map(({ id: customer }) => customer).join(', ');
    return { deletedCustomers: gone.length, message: `Successfully deleted customers with ids: ${ids}` };
  },
});

interface Blocking {
  readonly verb: 'block' | 'unblock';
  readonly summary: string;
  readonly description?: string;
}

const blocking = ({ verb, ...words }: Blocking) =>
  operation({
    command: ['customer', verb],
    route: ['POST', `/customer/${verb}`],
    alsoAt: [['POST', `/end_user/${verb}`]],
    ...words,
    input: wire({ userIds: references }),
    output: answer({ blockedUsers: z.array(answer(customerInfo)).describe('The customers as they are now') }),
    access: 'admin',
    cli: {
      ...shown,
      result: 'blocked_users',
      args: ['user_ids'],
      completes: { user_ids: 'customer' },
      done: (_, { user_ids: ids }) => `${named(ids)} ${verb}ed`,
      examples: [['By id', `gatewayctl customer ${verb} acme-42`]],
    },
    run: async (needs: Needs, { userIds }) => ({
      blockedUsers: await needs.customers.describeAll(await needs.customers[verb](userIds)),
    }),
  });

export const blockCustomers = blocking({
  verb: 'block',
  summary: 'Refuse calls for customers for now',
  description: 'One that is not there yet is made: clients may name it at any time.',
});
export const unblockCustomers = blocking({ verb: 'unblock', summary: 'Serve calls for blocked customers again' });

export const customerOperations = [
  createCustomer,
  listCustomers,
  listAllCustomers,
  getCustomer,
  updateCustomer,
  deleteCustomers,
  blockCustomers,
  unblockCustomers,
] as const;
