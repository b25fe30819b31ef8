import { randomUUID } from 'node:crypto';
import type { EntityManager } from '@mikro-orm/postgresql';
import { count, totalWith } from '../db/count.ts';
import { SCHEMA } from '../db/schema.ts';
import { actorName, given, type Work } from '../db/work.ts';
import { GatewayError } from '../kernel/errors.ts';
import type { Actor } from '../kernel/operation.ts';
import { offsetOf, type Page } from '../kernel/page.ts';
import type { Chains } from './audit.append.ts';
import { AuditEntry } from './audit.entity.ts';
import type { Row } from './audit.mac.ts';
import { verify, type Verdict } from './audit.verify.ts';
import type { AuditAction, AuditObject, AuditWay } from './audit.wire.ts';

export type { AuditAction };

export interface AuditFilter extends Page {
  readonly objectType?: AuditObject | undefined;
  readonly objectId?: string | undefined;
  readonly actor?: string | undefined;
  readonly action?: AuditAction | undefined;
  readonly via?: AuditWay | undefined;
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

/** What stands in a row, whoever writes it. */
export interface Entry {
  readonly at: Date;
  readonly actor: string;
  readonly via: AuditWay;
  readonly changedBy?: string | undefined;
  readonly action: AuditAction;
  readonly objectType: AuditObject;
  readonly objectId: string;
  readonly before?: unknown;
  readonly after?: unknown;
  readonly requestId?: string | undefined;
  readonly client?: string | null | undefined;
}

/** Writes entries, as the last thing before the commit of the transaction that is open. */
export async function writeEntries(em: EntityManager, chains: Chains, entries: readonly Entry[]): Promise<void> {
  await chains.append(em, entries.map(rowOf));
}

const rowOf = (entry: Entry): Row => ({
  id: randomUUID(),
  // PostgreSQL keeps microseconds.
  at: entry.at.toISOString().replace('Z', '000Z'),
  actor: entry.actor,
  via: entry.via,
  changed_by: entry.changedBy ?? null,
  action: entry.action,
  object_type: entry.objectType,
  object_id: entry.objectId,
  before: entry.before ?? null,
  after: entry.after ?? null,
  request_id: entry.requestId ?? null,
  client: entry.client ?? null,
});

const wayOf = (actor: Actor): AuditWay => (actor.type === 'operator' ? actor.via : `api-${actor.type}`);

/** The rows of a list, to be counted. */
function matching({ since, until, ...filter }: Omit<AuditFilter, keyof Page>) {
  const conditions = Object.entries({
    'object_type = ?': filter.objectType,
    'object_id = ?': filter.objectId,
    'actor = ?': filter.actor,
    'action = ?': filter.action,
    'via = ?': filter.via,
    'at >= ?': since,
    'at < ?': until,
  }).filter(([, value]) => value !== undefined);
  const where = conditions.length === 0 ? '' : `where ${conditions.map(([condition]) => condition).join(' and ')}`;
  return { rows: `select 1 from ${SCHEMA}.audit_log ${where}`, values: conditions.map(([, value]) => value) };
}

/** Keeps a row of every change. A change whose row cannot be written does not happen: both are one transaction. */
export class AuditService {
  readonly #work: Work;
  readonly #chains: Chains;
  readonly #recorded: AuditChange[] = [];

  constructor(work: Work, chains: Chains) {
    this.#work = work;
    this.#chains = chains;
  }

  record(change: AuditChange): void {
    this.#recorded.push(change);
  }

  /** What was changed in this transaction, in order. */
  get recorded(): readonly AuditChange[] {
    return this.#recorded;
  }

  /** Writes what was recorded, and takes its place in a chain. The last thing before the commit: see `append`. */
  async seal(): Promise<void> {
    const { em, now, actor, changedBy, requestId, client } = this.#work;
    // Whatever else is to be locked is locked before the chain, so that nobody who has one waits for another.
    await em.flush();
    const basis = { at: now, actor: actorName(actor), via: wayOf(actor), changedBy, requestId, client };
    await writeEntries(
      em,
      this.#chains,
      this.#recorded.map(({ object, id, ...change }) => ({ ...basis, ...change, objectType: object, objectId: id })),
    );
  }

  /** The newest first. */
  async list({ page, size, since, until, ...filter }: AuditFilter): Promise<{ entries: AuditEntry[]; total: number }> {
    const { em } = this.#work;
    const at = given({ $gte: since, $lt: until });
    const where = { ...given(filter), ...(Object.keys(at).length > 0 && { at }) };
    const entries = await em.find(AuditEntry, where, {
      orderBy: { at: 'desc', id: 'asc' },
      limit: size,
      offset: offsetOf({ page, size }),
    });
    const counted = await count(em, matching({ since, until, ...filter }));
    return { entries, total: totalWith(counted, { page, size }, entries.length) };
  }

  async get(id: string): Promise<AuditEntry> {
    const entry = await this.#work.em.findOne(AuditEntry, { id });
    if (entry) return entry;
    throw new GatewayError('notFound', 'not_found_error', `No audit entry "${id}"`, {
      param: 'id',
      hint: 'Which entries there are: gatewayctl audit list',
    });
  }

  /** Whether every row is as it was written and in its place. */
  async verify(): Promise<Verdict> {
    const { em } = this.#work;
    return verify(em, await this.#chains.keys.forChecking(em));
  }
}
