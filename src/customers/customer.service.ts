import { LockMode, UniqueConstraintViolationException } from '@mikro-orm/core';
import type { AuditAction, AuditService } from '../audit/audit.service.ts';
import type { BudgetService } from '../budgets/budget.service.ts';
import { countUpTo } from '../db/count.ts';
import { announce } from '../db/notify.ts';
import { SCHEMA } from '../db/schema.ts';
import { windowSpend } from '../db/window-spend.ts';
import { createStamp, given, updateStamp, type Work } from '../db/work.ts';
import { GatewayError } from '../kernel/errors.ts';
import { requireChange } from '../kernel/fields.ts';
import { type LimitChanges, limitChanges, newLimits } from '../kernel/limits.ts';
import { offsetOf, type Page } from '../kernel/page.ts';
import type { Region } from '../kernel/region.ts';
import { Customer } from './customer.entity.ts';
import { describeCustomer, encodeCustomer } from './customer.wire.ts';

interface Fields extends LimitChanges {
  alias?: string | null | undefined;
  maxBudget?: bigint | null | undefined;
  budgetId?: string | null | undefined;
  blocked?: boolean | undefined;
  allowedModelRegion?: Region | null | undefined;
}

const bothBudgets = () =>
  new GatewayError('invalid', 'invalid_request_error', 'Both max_budget and budget_id were given', {
    param: 'budget_id',
    // LiteLLM's validation answers 422.
    status: 422,
    hint: 'Give one of them.',
  });

const unknownCustomers = (ids: readonly string[], param: string) =>
  new GatewayError('notFound', 'not_found_error', `End User Id=${ids.join(', ')} does not exist in db`, {
    param,
    hint: 'Which customers there are: gatewayctl customer list',
  });

export class CustomerService {
  readonly #work: Work;
  readonly #audit: AuditService;
  readonly #budgets: BudgetService;

  constructor(work: Work, audit: AuditService, budgets: BudgetService) {
    this.#work = work;
    this.#audit = audit;
    this.#budgets = budgets;
  }

  /** @throws GatewayError 400 when the customer is there, 404 when the budget is not, 422 for two budgets */
  async create({ userId, ...fields }: Fields & { userId: string }): Promise<Customer> {
    await this.#requireOneBudget(fields);
    const { alias, maxBudget, budgetId, blocked = false, allowedModelRegion, ...limits } = fields;
    const customer = this.#work.em.create(Customer, {
      id: userId,
      alias: alias ?? null,
      blocked,
      allowedModelRegion: allowedModelRegion ?? null,
      budgetId: budgetId ?? null,
      maxBudget: maxBudget ?? null,
      spend: 0n,
      ...newLimits(limits),
      gen: 1n,
      ...createStamp(this.#work),
    });
    await this.#flush(customer);
    await this.#changed(customer, 'created');
    return customer;
  }

  async find(id: string): Promise<Customer | undefined> {
    return (await this.#work.em.findOne(Customer, { id })) ?? undefined;
  }

  /** @throws GatewayError 404, naming the field by which the customer was asked for */
  async get(id: string, param: string): Promise<Customer> {
    const customer = await this.find(id);
    if (customer) return customer;
    throw unknownCustomers([id], param);
  }

  async update(id: string, fields: Fields): Promise<Customer> {
    requireChange(fields);
    await this.#requireOneBudget(fields);
    const [customer] = await this.#lockAll([id], 'user_id');
    if (!customer) throw unknownCustomers([id], 'user_id');
    const { alias, maxBudget, budgetId, blocked, allowedModelRegion, ...limits } = fields;
    const changes = { ...given({ alias, maxBudget, budgetId, blocked, allowedModelRegion }), ...limitChanges(limits) };
    await this.#apply(customer, 'updated', changes);
    return customer;
  }

  /** A client may name anybody at any time, so that one who is not there yet is made, and refused from the start. */
  async block(ids: readonly string[]): Promise<Customer[]> {
    const sorted = [...new Set(ids)].toSorted();
    const { now, em } = this.#work;
    const { createdBy: by } = createStamp(this.#work);
    const rows = sorted.map(() => '(?, true, ?, ?, ?, ?)').join(', ');
    const made = await em.execute<{ id: string }[]>(
      `insert into ${SCHEMA}.customers (id, blocked, created_at, created_by, updated_at, updated_by)
       values ${rows} on conflict do nothing returning id`,
      sorted.flatMap((id) => [id, now, by, now, by]),
    );
    const isNew = new Set(made.map(({ id }) => id));
    const customers = await this.#lockAll(sorted, 'user_ids');
    for (const customer of customers) {
      if (isNew.has(customer.id)) await this.#changed(customer, 'created');
      else await this.#apply(customer, 'blocked', { blocked: true });
    }
    return customers;
  }

  async unblock(ids: readonly string[]): Promise<Customer[]> {
    const customers = await this.#lockAll(ids, 'user_ids');
    for (const customer of customers) await this.#apply(customer, 'unblocked', { blocked: false });
    return customers;
  }

  /** All or none. What was spent for them stays in the reports. */
  async remove(ids: readonly string[]): Promise<Customer[]> {
    const customers = await this.#lockAll(ids, 'user_ids');
    for (const customer of customers) {
      await this.#changed(customer, 'deleted', await this.#encode(customer));
      this.#work.em.remove(customer);
    }
    await this.#work.em.flush();
    return customers;
  }

  /** The newest first. */
  async list(page: Page): Promise<Customer[]> {
    const orderBy = { createdAt: 'desc', id: 'asc' } as const;
    return this.#work.em.find(Customer, {}, { orderBy, limit: page.size, offset: offsetOf(page) });
  }

  async count(): Promise<number> {
    return countUpTo(this.#work.em, { rows: `select 1 from ${SCHEMA}.customers`, values: [] });
  }

  /** As administrators see it. */
  async describe(customer: Customer) {
    const budget = await this.#budgets.get(customer.budgetId);
    const spent = await this.#spentBy([customer]);
    return describeCustomer(customer, { budget, now: this.#work.now, spent: spent.get(customer.id) });
  }

  /** One statement for the shared budgets of all of them, and one for what they have spent in their periods. */
  async describeAll(customers: readonly Customer[]) {
    const budgets = await this.#budgets.of(customers.map(({ budgetId }) => budgetId));
    const spent = await this.#spentBy(customers);
    const { now } = this.#work;
    return customers.map((customer) =>
      describeCustomer(customer, { budget: budgets.get(customer.budgetId ?? ''), now, spent: spent.get(customer.id) }),
    );
  }

  /** In the present period of their budgets, by id. */
  #spentBy(customers: readonly Customer[]): Promise<ReadonlyMap<string, bigint>> {
    return windowSpend(this.#work.em, 'customer', { spenders: customers, now: this.#work.now });
  }

  /** Each once, in one order, so that two changes cannot lock each other out. */
  async #lockAll(ids: readonly string[], param: string): Promise<Customer[]> {
    const wanted = [...new Set(ids)];
    const found = await this.#work.em.find(
      Customer,
      { id: { $in: wanted } },
      { lockMode: LockMode.PESSIMISTIC_WRITE, orderBy: { id: 'asc' }, refresh: true },
    );
    const there = new Set(found.map(({ id }) => id));
    const missing = wanted.filter((id) => !there.has(id));
    if (missing.length > 0) throw unknownCustomers(missing, param);
    return found;
  }

  async #requireOneBudget({ maxBudget, budgetId }: Fields): Promise<void> {
    if (budgetId === null || budgetId === undefined) return;
    if (maxBudget !== null && maxBudget !== undefined) throw bothBudgets();
    await this.#budgets.require(budgetId);
  }

  async #apply(customer: Customer, action: AuditAction, changes: object): Promise<void> {
    const before = await this.#encode(customer);
    this.#work.em.assign(customer, { ...changes, gen: customer.gen + 1n, ...updateStamp(this.#work) });
    await this.#work.em.flush();
    await this.#changed(customer, action, before);
  }

  async #changed(customer: Customer, action: AuditAction, before?: unknown): Promise<void> {
    await announce(this.#work, { entity: 'customer', id: customer.id });
    const after = action === 'deleted' ? undefined : await this.#encode(customer);
    this.#audit.record({ action, object: 'customer', id: customer.id, before, after });
  }

  async #encode(customer: Customer): Promise<unknown> {
    return encodeCustomer(await this.describe(customer));
  }

  async #flush(customer: Customer): Promise<void> {
    try {
      await this.#work.em.flush();
    } catch (cause) {
      if (!(cause instanceof UniqueConstraintViolationException)) throw cause;
      throw new GatewayError(
        'conflict',
        'bad_request',
        `Customer already exists, passed user_id=${customer.id}. Please pass a new user_id.`,
        {
          param: 'user_id',
          // LiteLLM answers 400 here, and its clients' tests look for it.
          status: 400,
          hint: `Change the customer there is: gatewayctl customer update ${customer.id}`,
          cause,
        },
      );
    }
  }
}
