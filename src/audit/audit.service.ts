import { randomUUID } from 'node:crypto';
import type { EntityManager } from '@mikro-orm/postgresql';
import { count, totalWith } from '../db/count.ts';
import { SCHEMA } from '../db/schema.ts';
import { sqlArray } from '../db/sql-array.ts';
import { actorName, given, type Work } from '../db/work.ts';
import { GatewayError } from '../kernel/errors.ts';
import { redactLooks } from '../kernel/mask.ts';
import type { Actor } from '../kernel/operation.ts';
import { offsetOf, type Page } from '../kernel/page.ts';
import type { Chains } from './audit.append.ts';
import { AuditEntry } from './audit.entity.ts';
import type { Row } from './audit.mac.ts';
import { organizationsOf } from './audit.scope.ts';
import { verify, type Verdict } from './audit.verify.ts';
import type { AuditAction, AuditObject, AuditWay } from './audit.wire.ts';

export type { AuditAction };

export interface AuditFilter extends Page {
  readonly objectType?: AuditObject | undefined;
  readonly objectId?: string | undefined;
  readonly actor?: string | undefined;
  readonly action?: AuditAction | undefined;
  readonly via?: AuditWay | undefined;
  readonly organizationId?: string | undefined;
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
  /** Organizations the object belongs to, where neither of the two says so. */
  readonly organizationIds?: readonly string[] | undefined;
  /** The caller may not look at the object: a rehearsal counts it, and tells nothing of it. */
  readonly isHidden?: boolean | undefined;
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
  readonly organizationIds?: readonly string[] | undefined;
  readonly requestId?: string | undefined;
  readonly client?: string | null | undefined;
}

/** Writes entries, as the last thing before the commit of the transaction that is open. */
export async function writeEntries(em: EntityManager, chains: Chains, entries: readonly Entry[]): Promise<void> {
  await chains.append(em, entries.map(rowOf));
}

/** Metadata is free, so a credential may be in it: it is gone with its object one day, and a row stays for good. */
function withoutLooks(value: unknown): unknown {
  if (value === null || value === undefined) return null;
  const text = JSON.stringify(value);
  const clean = redactLooks(text);
  return clean === text ? value : JSON.parse(clean);
}

const rowOf = (entry: Entry): Row => ({
  id: randomUUID(),
  // PostgreSQL keeps microseconds.
  at: entry.at.toISOString().replace('Z', '000Z'),
  actor: entry.actor,
  via: entry.via,
  changed_by: entry.changedBy === undefined ? null : redactLooks(entry.changedBy),
  action: entry.action,
  object_type: entry.objectType,
  object_id: entry.objectId,
  before: withoutLooks(entry.before),
  after: withoutLooks(entry.after),
  request_id: entry.requestId ?? null,
  client: entry.client ?? null,
  organization_ids: entry.organizationIds?.length ? entry.organizationIds : null,
});

const wayOf = (actor: Actor): AuditWay => (actor.type === 'operator' ? actor.via : `api-${actor.type}`);

type Asked = Omit<AuditFilter, keyof Page | 'organizationId'> & {
  /** Any of these; undefined is all entries. */
  readonly organizationIds: readonly string[] | undefined;
};

/** The rows of a list, to be counted. */
function matching({ since, until, organizationIds, ...filter }: Asked) {
  const conditions = Object.entries({
    'object_type = ?': filter.objectType,
    'object_id = ?': filter.objectId,
    'actor = ?': filter.actor,
    'action = ?': filter.action,
    'via = ?': filter.via,
    'at >= ?': since,
    'at < ?': until,
    'organization_ids && ?::text[]': organizationIds && sqlArray(organizationIds),
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
    const scopes = await organizationsOf(em, this.#recorded);
    const entries = this.#recorded.map(({ object, id, ...change }, index) => {
      return { ...basis, ...change, objectType: object, objectId: id, organizationIds: scopes[index] };
    });
    await writeEntries(em, this.#chains, entries);
  }

  /**
   * The newest first; to the administrator of an organization what concerns it.
   *
   * @throws GatewayError 403 for whoever administers nothing
   */
  async list({ page, size, organizationId, ...asked }: AuditFilter): Promise<{ entries: AuditEntry[]; total: number }> {
    const { em } = this.#work;
    const { since, until, ...filter } = asked;
    const scope = await this.#scope();
    const organizationIds =
      organizationId === undefined ? scope : [organizationId].filter((id) => scope?.includes(id) ?? true);
    const at = given({ $gte: since, $lt: until });
    const where = {
      ...given(filter),
      ...(Object.keys(at).length > 0 && { at }),
      ...(organizationIds && { organizationIds: { $overlap: [...organizationIds] } }),
    };
    const entries = await em.find(AuditEntry, where, {
      orderBy: { at: 'desc', id: 'asc' },
      limit: size,
      offset: offsetOf({ page, size }),
    });
    const counted = await count(em, matching({ ...asked, organizationIds }));
    return { entries, total: totalWith(counted, { page, size }, entries.length) };
  }

  async get(id: string): Promise<AuditEntry> {
    const scope = await this.#scope();
    const entry = await this.#work.em.findOne(AuditEntry, { id });
    if (entry && (!scope || entry.organizationIds?.some((each) => scope.includes(each)))) return entry;
    throw new GatewayError('notFound', 'not_found_error', `No audit entry "${id}"`, {
      param: 'id',
      hint: 'Which entries there are: gatewayctl audit list',
    });
  }

  /** The organizations whose entries the caller may read; undefined is all entries. */
  async #scope(): Promise<readonly string[] | undefined> {
    const { authority } = this.#work;
    if (authority.seesAll) return undefined;
    const ids = await authority.administeredOrganizations();
    if (ids.length > 0) return ids;
    throw new GatewayError(
      'forbidden',
      'auth_error',
      'The audit log is for administrators; that of an organization for its own too',
      { hint: 'Use the key of an administrator.' },
    );
  }

  /** Whether every row is as it was written and in its place. */
  async verify(): Promise<Verdict> {
    const { em } = this.#work;
    return verify(em, await this.#chains.keys.forChecking(em));
  }
}
