import { randomUUID } from 'node:crypto';
import { actorName, given, type Work } from '../db/work.ts';
import { GatewayError } from '../kernel/errors.ts';
import { offsetOf, type Page } from '../kernel/page.ts';
import { AuditEntry } from './audit.entity.ts';
import type { AuditObject } from './audit.wire.ts';

export type AuditAction = 'created' | 'updated' | 'deleted' | 'blocked' | 'unblocked' | 'rotated';

export interface AuditFilter extends Page {
  readonly objectType?: AuditObject | undefined;
  readonly objectId?: string | undefined;
  readonly actor?: string | undefined;
  readonly since?: Date | undefined;
  readonly until?: Date | undefined;
}

export interface AuditChange {
  readonly action: AuditAction;
  readonly object: AuditObject;
  readonly id: string;
  /** As they travel to administrators, so that no secret can be among them. */
  readonly before?: unknown;
  readonly after?: unknown;
}

/** Keeps a row of every change. A change whose row cannot be written does not happen: both are one transaction. */
export class AuditService {
  readonly #work: Work;
  readonly #recorded: AuditChange[] = [];

  constructor(work: Work) {
    this.#work = work;
  }

  record(change: AuditChange): void {
    this.#recorded.push(change);
  }

  /** What was changed in this transaction, in order. */
  get recorded(): readonly AuditChange[] {
    return this.#recorded;
  }

  /** Writes what was recorded, just before the commit. */
  async seal(): Promise<void> {
    const { em, now, actor, changedBy } = this.#work;
    for (const { action, object, id, before, after } of this.#recorded) {
      em.create(AuditEntry, {
        id: randomUUID(),
        at: now,
        actor: actorName(actor),
        via: actor.type === 'operator' ? actor.via : `api-${actor.type}`,
        changedBy: changedBy ?? null,
        action,
        objectType: object,
        objectId: id,
        before: before ?? null,
        after: after ?? null,
      });
    }
    await em.flush();
  }

  /** The newest first. */
  async list({ page, size, since, until, ...filter }: AuditFilter): Promise<{ entries: AuditEntry[]; total: number }> {
    const at = given({ $gte: since, $lt: until });
    const where = { ...given(filter), ...(Object.keys(at).length > 0 && { at }) };
    const [entries, total] = await this.#work.em.findAndCount(AuditEntry, where, {
      orderBy: { at: 'desc', id: 'asc' },
      limit: size,
      offset: offsetOf({ page, size }),
    });
    return { entries, total };
  }

  async get(id: string): Promise<AuditEntry> {
    const entry = await this.#work.em.findOne(AuditEntry, { id });
    if (entry) return entry;
    throw new GatewayError('notFound', 'not_found_error', `No audit entry "${id}"`, {
      param: 'id',
      hint: 'Which entries there are: gatewayctl audit list',
    });
  }
}
