import type { AuditService } from '../audit/audit.service.ts';
import { SCHEMA } from '../db/schema.ts';
import type { Work } from '../db/work.ts';
import { toDollars } from '../kernel/money.ts';
import type { CorrectedTokens, Correction, correctSpend } from '../metering/correction.ts';
import type { BookedRow, Repriced, Repricer, SkipReason } from '../metering/repriced.ts';
import type { Cursor } from './cursor.ts';

export interface RepriceFilter {
  readonly since: Date;
  readonly until: Date;
  readonly model?: string | undefined;
  readonly keyId?: string | undefined;
  readonly teamId?: string | undefined;
}

/** What was done to the calls of one model. Amounts are nano-dollars, of those calls that have a price today. */
export interface RepricedModel {
  readonly model: string;
  rows: number;
  changed: number;
  before: bigint;
  after: bigint;
  readonly skipped: Partial<Record<SkipReason, number>>;
}

export interface RepricedPage {
  readonly rows: number;
  /** The last call of the page; undefined when there are no more. */
  readonly next: Cursor | undefined;
  readonly models: readonly RepricedModel[];
}

const columns = [
  'request_id, created_at, started_at, call_type, model, upstream_model, model_id, provider, cache_hit, prompt_tokens',
  'completion_tokens, cache_read_tokens, cache_write_tokens, reasoning_tokens, usage_estimated, usage_details',
  'service_tier, spend, price_source, price_version',
].join(', ');

/** One run at a time, so that two of them cannot wait for each other's rows. */
const LOCK = 'spend reprice';

/** A batch that is over. */
export interface BatchToSettle extends Pick<Correction, 'requestId' | 'createdAt' | 'priceSource' | 'priceVersion'> {
  readonly id: string;
  readonly tokens: CorrectedTokens;
  /** Nano-dollars, by what was booked until now. */
  readonly spend: (worst: bigint) => bigint;
}

interface Parts {
  readonly audit: Pick<AuditService, 'record'>;
  /** By the prices and the deployments of today. */
  readonly repricer: () => Promise<Pick<Repricer, 'reprice'>>;
  readonly correct: typeof correctSpend;
}

/** Books calls anew by the prices of today. */
export class RepriceService {
  readonly #work: Work;
  readonly #parts: Parts;

  constructor(work: Work, parts: Parts) {
    this.#work = work;
    this.#parts = parts;
  }

  /**
   * The oldest calls behind a cursor, at most so many: their rows, every sum they are in and an entry of the audit log in
   * the transaction that is open. Calls that are booked at today's price already are left alone.
   */
  async page(
    filter: RepriceFilter,
    { after, limit }: { readonly after: Cursor | undefined; readonly limit: number },
  ): Promise<RepricedPage> {
    const { em } = this.#work;
    await em.execute('select pg_advisory_xact_lock(hashtextextended(?, 0))', [LOCK]);
    const rows = await this.#rows(filter, after, limit);
    const repricer = await this.#parts.repricer();
    const models = new Map<string, RepricedModel>();
    const corrections: Correction[] = [];
    for (const row of rows) {
      const repriced = repricer.reprice(row);
      const correction = correctionOf(row, repriced);
      if (correction) corrections.push(correction);
      note(models, { row, repriced, isChanged: correction !== undefined });
    }
    await this.#parts.correct(this.#work, corrections);
    const last = rows.length < limit ? undefined : rows.at(-1);
    const next = last && { createdAt: new Date(last.created_at), requestId: last.request_id };
    const page = { rows: rows.length, next, models: [...models.values()] };
    if (rows.length > 0) this.#record(filter, page);
    return page;
  }

  /**
   * Puts what a batch has cost in the place of its worst case, once: whoever comes second finds it booked.
   *
   * @returns false where its row is not in the ledger yet
   */
  async settleBatch(bill: BatchToSettle): Promise<boolean> {
    const { em } = this.#work;
    const [open] = await em.execute<unknown[]>(
      `select 1 from ${SCHEMA}.batches where id = ? and state = 'open' for update`,
      [bill.id],
    );
    if (!open) return true;
    const [row] = await em.execute<Pick<BookedRow, 'created_at' | 'spend'>[]>(
      `select created_at, spend from ${SCHEMA}.spend_logs
        where request_id = ? and created_at between ?::timestamptz - interval '1 day' and ?::timestamptz + interval '1 day' limit 1`,
      [bill.requestId, bill.createdAt, bill.createdAt],
    );
    if (!row) return false;
    const was = BigInt(row.spend);
    await this.#parts.correct(this.#work, [
      {
        requestId: bill.requestId,
        createdAt: new Date(row.created_at),
        was,
        spend: bill.spend(was),
        priceSource: bill.priceSource,
        priceVersion: bill.priceVersion,
        tokens: bill.tokens,
      },
    ]);
    await em.execute(`update ${SCHEMA}.batches set state = 'booked' where id = ?`, [bill.id]);
    return true;
  }

  #rows({ since, until, model, keyId, teamId }: RepriceFilter, after: Cursor | undefined, limit: number) {
    const given = [
      ['created_at >= ?', [after && after.createdAt > since ? after.createdAt : since]],
      ['created_at < ?', [until]],
      ['(created_at, request_id) > (?, ?)', after && [after.createdAt, after.requestId]],
      ['model = ?', model === undefined ? undefined : [model]],
      ['key_id = ?', keyId === undefined ? undefined : [keyId]],
      ['team_id = ?', teamId === undefined ? undefined : [teamId]],
    ] as const;
    const conditions = given.filter(([, values]) => values !== undefined);
    return this.#work.em.execute<BookedRow[]>(
      `select ${columns} from ${SCHEMA}.spend_logs where ${conditions.map(([text]) => text).join(' and ')}
        order by created_at, request_id limit ?`,
      [...conditions.flatMap(([, values]) => values ?? []), limit],
    );
  }

  #record({ since, until, ...which }: RepriceFilter, { models, next, rows }: RepricedPage): void {
    const dollars = (name: 'before' | 'after') => toDollars(models.reduce((sum, each) => sum + each[name], 0n));
    this.#parts.audit.record({
      action: 'updated',
      object: 'spend',
      id: 'reprice',
      before: { spend: dollars('before') },
      after: {
        spend: dollars('after'),
        start_date: since.toISOString(),
        end_date: until.toISOString(),
        ...which,
        rows,
        next_cursor: next ? `${next.createdAt.toISOString()},${next.requestId}` : null,
        models: models.map(shownModel),
      },
    });
  }
}

/** As it travels, and as the audit log has it. */
export const shownModel = ({ before, after, ...rest }: RepricedModel) => ({
  ...rest,
  before: toDollars(before),
  after: toDollars(after),
  difference: toDollars(after - before),
});

function correctionOf(row: BookedRow, repriced: Repriced): Correction | undefined {
  if ('skipped' in repriced) return undefined;
  const { cost, price } = repriced;
  const was = BigInt(row.spend);
  const isSame = cost === was && price.source === row.price_source && price.version === row.price_version;
  if (isSame) return undefined;
  return {
    requestId: row.request_id,
    createdAt: new Date(row.created_at),
    was,
    spend: cost,
    priceSource: price.source,
    priceVersion: price.version,
  };
}

interface Noted {
  readonly row: BookedRow;
  readonly repriced: Repriced;
  readonly isChanged: boolean;
}

function note(models: Map<string, RepricedModel>, { row, repriced, isChanged }: Noted): void {
  const { model, spend } = row;
  let found = models.get(model);
  if (!found) models.set(model, (found = { model, rows: 0, changed: 0, before: 0n, after: 0n, skipped: {} }));
  found.rows++;
  if ('skipped' in repriced) {
    found.skipped[repriced.skipped] = (found.skipped[repriced.skipped] ?? 0) + 1;
    return;
  }
  if (isChanged) found.changed++;
  found.before += BigInt(spend);
  found.after += repriced.cost;
}
