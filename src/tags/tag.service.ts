import { LockMode, UniqueConstraintViolationException } from '@mikro-orm/core';
import type { AuditService } from '../audit/audit.service.ts';
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
import { Tag } from './tag.entity.ts';
import { unknownTag } from './tag.errors.ts';
import { describeTag, encodeTag } from './tag.wire.ts';

interface Fields extends LimitChanges {
  description?: string | null | undefined;
  maxBudget?: bigint | null | undefined;
  budgetId?: string | null | undefined;
}

export class TagService {
  readonly #work: Work;
  readonly #audit: AuditService;
  readonly #budgets: BudgetService;

  constructor(work: Work, audit: AuditService, budgets: BudgetService) {
    this.#work = work;
    this.#audit = audit;
    this.#budgets = budgets;
  }

  /** @throws GatewayError 400 when the tag is there, 404 when the budget is not */
  async create({ name, description, maxBudget, budgetId, ...limits }: Fields & { name: string }): Promise<Tag> {
    if (budgetId) await this.#budgets.require(budgetId);
    const tag = this.#work.em.create(Tag, {
      name,
      description: description ?? null,
      budgetId: budgetId ?? null,
      maxBudget: maxBudget ?? null,
      spend: 0n,
      ...newLimits(limits),
      gen: 1n,
      ...createStamp(this.#work),
    });
    await this.#flush(tag);
    await this.#changed(tag, 'created');
    return tag;
  }

  async find(name: string): Promise<Tag | undefined> {
    return (await this.#work.em.findOne(Tag, { name })) ?? undefined;
  }

  /** @throws GatewayError 404 */
  async get(name: string): Promise<Tag> {
    const tag = await this.find(name);
    if (tag) return tag;
    throw unknownTag(name, 'name');
  }

  /** One that is not there is left out. */
  async several(names: readonly string[]): Promise<Tag[]> {
    return this.#work.em.find(Tag, { name: { $in: [...names] } }, { orderBy: { name: 'asc' } });
  }

  async update(name: string, fields: Fields): Promise<Tag> {
    requireChange(fields);
    const { description, maxBudget, budgetId, ...limits } = fields;
    const tag = await this.#lock(name);
    if (budgetId) await this.#budgets.require(budgetId);
    const before = await this.#encode(tag);
    this.#work.em.assign(tag, {
      ...given({ description, maxBudget, budgetId }),
      ...limitChanges(limits),
      gen: tag.gen + 1n,
      ...updateStamp(this.#work),
    });
    await this.#work.em.flush();
    await this.#changed(tag, 'updated', before);
    return tag;
  }

  /** What was spent on calls that carry it stays in the reports; they may go on carrying it, without a limit. */
  async remove(name: string): Promise<Tag> {
    const tag = await this.#lock(name);
    await this.#changed(tag, 'deleted', await this.#encode(tag));
    this.#work.em.remove(tag);
    await this.#work.em.flush();
    return tag;
  }

  /** The newest first. */
  async list(page: Page): Promise<Tag[]> {
    const orderBy = { createdAt: 'desc', name: 'asc' } as const;
    return this.#work.em.find(Tag, {}, { orderBy, limit: page.size, offset: offsetOf(page) });
  }

  async count(): Promise<number> {
    return countUpTo(this.#work.em, { rows: `select 1 from ${SCHEMA}.tags`, values: [] });
  }

  /** As administrators see it. */
  async describe(tag: Tag) {
    const budget = await this.#budgets.get(tag.budgetId);
    const spent = await this.#spentBy([tag]);
    return describeTag(tag, { budget, now: this.#work.now, spent: spent.get(tag.name) });
  }

  /** One statement for the shared budgets of all of them, and one for what they have spent in their periods. */
  async describeAll(tags: readonly Tag[]) {
    const budgets = await this.#budgets.of(tags.map(({ budgetId }) => budgetId));
    const spent = await this.#spentBy(tags);
    const { now } = this.#work;
    return tags.map((tag) =>
      describeTag(tag, { budget: budgets.get(tag.budgetId ?? ''), now, spent: spent.get(tag.name) }),
    );
  }

  /** In the present period of their budgets, by name. */
  #spentBy(tags: readonly Tag[]): Promise<ReadonlyMap<string, bigint>> {
    const spenders = tags.map(({ name: id, budgetDuration, budgetId }) => ({ id, budgetDuration, budgetId }));
    return windowSpend(this.#work.em, 'tag', { spenders, now: this.#work.now });
  }

  async #lock(name: string): Promise<Tag> {
    await this.get(name);
    return this.#work.em.findOneOrFail(Tag, { name }, { lockMode: LockMode.PESSIMISTIC_WRITE, refresh: true });
  }

  async #changed(tag: Tag, action: 'created' | 'updated' | 'deleted', before?: unknown): Promise<void> {
    await announce(this.#work, { entity: 'tag', id: tag.name });
    const after = action === 'deleted' ? undefined : await this.#encode(tag);
    this.#audit.record({ action, object: 'tag', id: tag.name, before, after });
  }

  async #encode(tag: Tag): Promise<unknown> {
    return encodeTag(await this.describe(tag));
  }

  async #flush(tag: Tag): Promise<void> {
    try {
      await this.#work.em.flush();
    } catch (cause) {
      if (!(cause instanceof UniqueConstraintViolationException)) throw cause;
      throw new GatewayError('conflict', 'bad_request_error', `Tag ${tag.name} already exists`, {
        param: 'name',
        // LiteLLM's clients look for 400 where something exists already.
        status: 400,
        hint: `Change the tag there is: gatewayctl tag update ${tag.name}`,
        cause,
      });
    }
  }
}
