import { setTimeout as wait } from 'node:timers/promises';
import type pg from 'pg';
import type { App } from './app.ts';
import { SCHEMA } from './db/schema.ts';
import { GatewayError } from './kernel/errors.ts';
import type { Log } from './kernel/log.ts';
import { BatchBill, batchPriceOf } from './metering/batch.ts';
import type { Prices } from './metering/prices.ts';
import type { Deployment } from './models/deployment.ts';
import { type BatchOutput, isOver } from './proxy/batch-output.ts';

/** Batches in one go. Each is an answer of an upstream, and a file of some gigabytes at worst. */
const AT_ONCE = 10;
/** For so long nobody else looks at a batch that somebody looks at: the file may be long. */
const CLAIM = '35 minutes';
/** What has run for hours is looked at less often. */
const SLOWEST_MS = 15 * 60_000;
/** OpenAI's end after a day, and their files are kept for a month: what cannot be read by then stays as it is booked. */
const GIVE_UP_MS = 30 * 86_400_000;

export interface BatchBillingParts {
  readonly app: Pick<App, 'act'>;
  readonly pool: pg.Pool;
  readonly output: BatchOutput;
  readonly deployments: () => readonly Deployment[];
  readonly prices: Prices;
  readonly log: Log;
  readonly everyMs: number;
}

interface Batch {
  readonly id: string;
  readonly request_id: string;
  readonly deployment_id: string;
  readonly upstream_id: string;
  readonly upstream_model: string;
  readonly lines: string;
  readonly looks: number;
  /** As a text. */
  readonly created_at: string;
}

const claim = `
  update ${SCHEMA}.batches set next_look_at = now() + interval '${CLAIM}', looks = looks + 1
   where id in (select id from ${SCHEMA}.batches where state = 'open' and next_look_at <= now()
                 order by next_look_at limit ${AT_ONCE} for update skip locked)
  returning *`;

/**
 * Books batches at what they have cost, once they are over. Until then each is booked at its worst case, so one that is
 * never found again is not free. Daemons share them: each batch is looked at by one of them at a time.
 */
export class BatchBilling {
  readonly #parts: BatchBillingParts;
  readonly #stopped = new AbortController();
  #woken = Promise.withResolvers<void>();
  readonly #running: Promise<void>;

  constructor(parts: BatchBillingParts) {
    this.#parts = parts;
    this.#running = this.#run();
  }

  /** A batch is known to be over. */
  wake(): void {
    this.#woken.resolve();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopped.abort();
    this.#woken.resolve();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { signal } = this.#stopped;
    while (!signal.aborted) {
      const due = wait(this.#parts.everyMs, undefined, { signal, ref: false }).catch(() => undefined);
      await Promise.race([due, this.#woken.promise]);
      this.#woken = Promise.withResolvers();
      await this.#round().catch((error: unknown) => {
        if (!signal.aborted) this.#parts.log('warn', 'Batches could not be looked after', { error });
      });
    }
  }

  async #round(): Promise<void> {
    for (;;) {
      const { rows } = await this.#parts.pool.query<Batch>(claim);
      for (const batch of rows) {
        if (this.#stopped.signal.aborted) return;
        await this.#look(batch);
      }
      if (rows.length < AT_ONCE) return;
    }
  }

  /** Never fails for what is wrong with one batch: the others are looked at all the same. */
  async #look(batch: Batch): Promise<void> {
    try {
      if (await this.#bill(batch)) return;
      if (isOld(batch)) return await this.#giveUp(batch, new Error('It is not over, or not in the ledger'));
      await this.#later(batch);
    } catch (error) {
      if (this.#stopped.signal.aborted) return;
      const isGone = error instanceof GatewayError && error.type === 'upstream_error' && error.status === 404;
      if (isGone || isOld(batch)) return this.#giveUp(batch, error);
      this.#parts.log('warn', 'A batch could not be looked at; it stays booked at its worst case for now', {
        batch: batch.id,
        error,
      });
      await this.#later(batch);
    }
  }

  /** @returns whether it is booked now, or was before */
  async #bill(batch: Batch): Promise<boolean> {
    const { output, prices, deployments, app } = this.#parts;
    const deployment = deployments().find(({ id }) => id === batch.deployment_id);
    if (!deployment) throw new Error(`Its deployment ${batch.deployment_id} is not there`);
    const { signal } = this.#stopped;
    const at = new Date(batch.created_at);
    const place = { deployment, upstreamModel: batch.upstream_model, upstreamId: batch.upstream_id };
    const found = await output.look(place, signal);
    if (!isOver(found)) return false;
    const price = batchPriceOf(prices.forCall(deployment, batch.upstream_model, { at, callType: 'create_batch' }));
    const bill = new BatchBill(price.bands);
    const fileId = found['output_file_id'];
    if (typeof fileId === 'string') await output.usages({ ...place, fileId }, (usage) => bill.add(usage), signal);
    const isOwnPrice = price.source !== 'unpriced';
    return app.act({ type: 'operator', name: 'batch-billing', via: 'daemon' }, ({ repricing }) =>
      repricing.settleBatch({
        id: batch.id,
        requestId: batch.request_id,
        createdAt: at,
        // It had a price when it was made: what has none today is not free for it.
        spend: (worst) => (isOwnPrice ? bill.total({ worst, lines: Number(batch.lines) }) : worst),
        priceSource: price.source,
        priceVersion: price.version,
        tokens: tokensOf(bill, isOwnPrice ? 'batch' : null),
      }),
    );
  }

  async #later({ id, looks }: Batch): Promise<void> {
    const pauseMs = Math.min(this.#parts.everyMs * 2 ** Math.min(looks - 1, 10), SLOWEST_MS);
    await this.#parts.pool.query(
      `update ${SCHEMA}.batches set next_look_at = now() + $2 * interval '1 ms' where id = $1 and state = 'open'`,
      [id, Math.max(pauseMs, this.#parts.everyMs)],
    );
  }

  async #giveUp({ id }: Batch, error: unknown): Promise<void> {
    this.#parts.log('error', 'A batch stays booked at its worst case: what it cost cannot be read any more', {
      batch: id,
      error,
    });
    await this.#parts.pool.query(`update ${SCHEMA}.batches set state = 'given_up' where id = $1 and state = 'open'`, [
      id,
    ]);
  }
}

const isOld = ({ created_at: createdAt }: Batch): boolean => Date.now() - Date.parse(createdAt) > GIVE_UP_MS;

const tokensOf = ({ tokens, uncounted }: BatchBill, serviceTier: string | null) => ({
  prompt: tokens.promptTokens,
  completion: tokens.completionTokens,
  cacheRead: tokens.cacheReadTokens,
  cacheWrite: tokens.cacheWriteTokens,
  reasoning: tokens.reasoningTokens,
  isEstimated: uncounted > 0,
  serviceTier,
});
