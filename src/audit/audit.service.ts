import { randomUUID } from 'node:crypto';
import { actorName, type Work } from '../db/work.ts';
import { AuditEntry } from './audit.entity.ts';

export type AuditAction = 'created' | 'updated' | 'deleted' | 'blocked' | 'unblocked' | 'rotated';
export type AuditObject = 'key' | 'team' | 'team_member' | 'user' | 'model' | 'organization';

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

  constructor(work: Work) {
    this.#work = work;
  }

  record({ action, object, id, before, after }: AuditChange): void {
    const { em, now, actor, changedBy } = this.#work;
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
}
