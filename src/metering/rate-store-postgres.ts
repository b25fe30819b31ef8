import type pg from 'pg';
import { SCHEMA } from '../db/schema.ts';
import { within } from './deadline.ts';
import { type RateGranted, rateLifeMs, type RateStore, type RateWanted } from './rate-store.ts';
import { StoreClock } from './store-clock.ts';

const answerWithinMs = 1_000;
/** A row that nobody has touched for so long counts nothing. */
const sweepEveryMs = 300_000;

const prefix = 'postgresql ';

interface Row {
  readonly place: string;
  readonly generation: string;
  readonly stranger: boolean;
  readonly own: string;
  readonly room: string;
  readonly others: string;
  readonly wait_ms: string;
  readonly clock_ms: string;
}

/** One statement for all limits: see the function in migration 0031. */
export class PostgresRateStore implements RateStore {
  readonly name = 'postgresql';
  readonly #pool: pg.Pool;
  readonly #daemon: string;
  readonly #epoch: string;
  readonly #clock = new StoreClock();
  #sweptAtMs = performance.now();

  /** @param epoch another for each process of the same daemon: what an earlier one held is used, or in use no more */
  constructor(pool: pg.Pool, { daemon, epoch }: { readonly daemon: string; readonly epoch: string }) {
    this.#pool = pool;
    this.#daemon = daemon;
    this.#epoch = epoch;
  }

  async exchange(wanted: readonly RateWanted[]): Promise<readonly RateGranted[]> {
    if (!this.#clock.isKnown) await this.#readClock();
    const items = wanted.map(({ isWindow, generation, uses, ...rest }) => ({
      ...rest,
      window: isWindow,
      generation:
        generation === undefined ? null : generation.startsWith(prefix) ? generation.slice(prefix.length) : '0',
      uses: uses.map(([atMs, amount]) => [this.#clock.secondAt(atMs), amount]),
    }));
    const sentMs = performance.now();
    const rows = await this.#query<Row>({
      name: 'gatewayctl-rates',
      text: `select * from ${SCHEMA}.exchange_rates($1, $2, $3, $4)`,
      values: [this.#daemon, this.#epoch, rateLifeMs, JSON.stringify(items)],
    });
    const [first] = rows;
    if (first) this.#clock.learn(sentMs, Number(first.clock_ms));
    const granted: RateGranted[] = [];
    for (const { place, generation, stranger, own, room, others, wait_ms } of rows) {
      granted[Number(place) - 1] = {
        generation: `${prefix}${generation}`,
        isStranger: stranger,
        own: Number(own),
        room: Number(room),
        others: Number(others),
        waitMs: Number(wait_ms),
      };
    }
    if (performance.now() - this.#sweptAtMs > sweepEveryMs) await this.#sweep();
    return granted;
  }

  async #readClock(): Promise<void> {
    const sentMs = performance.now();
    const [row] = await this.#query<{ ms: string }>({
      text: 'select extract(epoch from clock_timestamp()) * 1000 as ms',
    });
    this.#clock.learn(sentMs, Number(row?.ms));
  }

  async #sweep(): Promise<void> {
    this.#sweptAtMs = performance.now();
    await this.#query({
      text: `delete from ${SCHEMA}.rate_windows where name in (
        select name from ${SCHEMA}.rate_windows where touched_at < clock_timestamp() - interval '2 minutes' for update skip locked)`,
    });
  }

  async #query<R extends pg.QueryResultRow>(config: pg.QueryConfig): Promise<R[]> {
    const query = { ...config, query_timeout: answerWithinMs };
    const { rows } = await within(answerWithinMs, this.#pool.query<R>(query));
    return rows;
  }
}
