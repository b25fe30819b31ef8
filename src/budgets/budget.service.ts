import { randomUUID } from 'node:crypto';
import { LockMode, UniqueConstraintViolationException } from '@mikro-orm/core';
import type { AuditService } from '../audit/audit.service.ts';
import { countUpTo } from '../db/count.ts';
import { announce } from '../db/notify.ts';
import { SCHEMA } from '../db/schema.ts';
import { createStamp, updateStamp, type Work } from '../db/work.ts';
import { GatewayError } from '../kernel/errors.ts';
import { requireChange } from '../kernel/fields.ts';
import { limitChanges, newLimits } from '../kernel/limits.ts';
import { offsetOf, type Page } from '../kernel/page.ts';
import { Budget } from './budget.entity.ts';
import { type Holders, holdersInWords, holdersOf } from './budget.holders.ts';
import { type BudgetFields, describeBudget, encodeBudget } from './budget.wire.ts';

const unknownBudget = (id: string, param: string) =>
  new GatewayError('notFound', 'not_found_error', `Budget not found, passed budget_id=${id}`, {
    param,
    hint: 'Which budgets there are: gatewayctl budget list',
  });

export class BudgetService {
  readonly #work: Work;
  readonly #audit: AuditService;

  constructor(work: Work, audit: AuditService) {
    this.#work = work;
    this.#audit = audit;
  }

  async create({
    budgetId,
    maxBudget,
    ...limits
  }: BudgetFields & { budgetId?: string | null | undefined }): Promise<Budget> {
    const { modelRpmLimit: _rpm, modelTpmLimit: _tpm, ...own } = newLimits(limits);
    const budget = this.#work.em.create(Budget, {
      ...own,
      id: budgetId ?? randomUUID(),
      maxBudget: maxBudget ?? null,
      gen: 1n,
      ...createStamp(this.#work),
    });
    await this.#flush(budget);
    await announce(this.#work, { entity: 'budget', id: budget.id });
    this.#audit.record({ action: 'created', object: 'budget', id: budget.id, after: this.#encode(budget) });
    return budget;
  }

  /** Undefined when there is none of that id, and for whoever shares no budget. */
  async get(id: string | null | undefined): Promise<Budget | undefined> {
    if (id === null || id === undefined) return undefined;
    return (await this.#work.em.findOne(Budget, { id })) ?? undefined;
  }

  /** @throws GatewayError 404 with the field that named the budget */
  async require(id: string, param = 'budget_id'): Promise<Budget> {
    const budget = await this.get(id);
    if (budget) return budget;
    throw unknownBudget(id, param);
  }

  /** The budgets of several objects, by id: one statement, however many. */
  async of(ids: readonly (string | null | undefined)[]): Promise<Map<string, Budget>> {
    const named = [...new Set(ids.filter((id) => id !== null && id !== undefined))];
    const budgets = named.length === 0 ? [] : await this.#work.em.find(Budget, { id: { $in: named } });
    return new Map(budgets.map((budget) => [budget.id, budget]));
  }

  async update(id: string, changes: BudgetFields): Promise<Budget> {
    requireChange(changes);
    const budget = await this.#lock(id);
    const before = this.#encode(budget);
    const { maxBudget, ...limits } = changes;
    const { modelRpmLimit: _rpm, modelTpmLimit: _tpm, ...own } = limitChanges(limits);
    this.#work.em.assign(budget, {
      ...own,
      ...(maxBudget !== undefined && { maxBudget }),
      gen: budget.gen + 1n,
      ...updateStamp(this.#work),
    });
    await this.#work.em.flush();
    await announce(this.#work, { entity: 'budget', id: budget.id });
    this.#audit.record({ action: 'updated', object: 'budget', id: budget.id, before, after: this.#encode(budget) });
    return budget;
  }

  /**
   * Its holders would be without limits at once, so none may be left.
   *
   * @throws GatewayError 409 while something shares it, with how many of what
   */
  async remove(id: string): Promise<Budget> {
    const budget = await this.#lock(id, 'id');
    const holders = holdersInWords((await this.holdersOf([id])).get(id) ?? {});
    if (holders !== '') {
      throw new GatewayError('conflict', 'budget_in_use', `Budget ${id} is shared by ${holders}`, {
        param: 'id',
        hint: 'Give them another budget first, or none: --budget none.',
      });
    }
    await announce(this.#work, { entity: 'budget', id });
    this.#audit.record({ action: 'deleted', object: 'budget', id, before: this.#encode(budget) });
    this.#work.em.remove(budget);
    await this.#work.em.flush();
    return budget;
  }

  holdersOf(ids: readonly string[]): Promise<Map<string, Holders>> {
    return holdersOf(this.#work.em, ids);
  }

  /** The newest first. */
  async list(page: Page): Promise<Budget[]> {
    return this.#work.em.find(
      Budget,
      {},
      { orderBy: { createdAt: 'desc', id: 'asc' }, limit: page.size, offset: offsetOf(page) },
    );
  }

  async count(): Promise<number> {
    return countUpTo(this.#work.em, { rows: `select 1 from ${SCHEMA}.budgets`, values: [] });
  }

  async #lock(id: string, param = 'budget_id'): Promise<Budget> {
    await this.require(id, param);
    return this.#work.em.findOneOrFail(Budget, { id }, { lockMode: LockMode.PESSIMISTIC_WRITE, refresh: true });
  }

  #encode(budget: Budget): unknown {
    return encodeBudget(describeBudget(budget, this.#work.now));
  }

  async #flush(budget: Budget): Promise<void> {
    try {
      await this.#work.em.flush();
    } catch (cause) {
      if (!(cause instanceof UniqueConstraintViolationException)) throw cause;
      throw new GatewayError('conflict', 'bad_request_error', `Budget with budget_id=${budget.id} already exists.`, {
        param: 'budget_id',
        // LiteLLM's clients look for 400 where something exists already.
        status: 400,
        hint: `Change the budget there is: gatewayctl budget update ${budget.id}`,
        cause,
      });
    }
  }
}
