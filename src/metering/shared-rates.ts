import { randomUUID } from 'node:crypto';
import type pg from 'pg';
import { meanwhile } from './limits-line.ts';
import type { Log } from './ledger.ts';
import { RateLeases, type WithoutStore } from './rate-leases.ts';
import type { RateStore } from './rate-store.ts';
import { PostgresRateStore } from './rate-store-postgres.ts';
import { type RedisLine, RedisRateStore } from './rate-store-redis.ts';
import { RateStores } from './rate-stores.ts';

export interface SharedRatesOptions {
  readonly pool: pg.Pool;
  readonly daemon: string;
  readonly log: Log;
  /** A Redis that all daemons of the database count limits in. */
  readonly redis?: (RedisLine & { readonly secret: Buffer | string }) | undefined;
  /** What becomes of limits while the daemons cannot count together. */
  readonly withoutSharedStore: WithoutStore;
}

/** Where limits are counted at the moment. */
export interface LimitsState {
  /** Null while neither answers. */
  readonly countedIn: RateStore['name'] | null;
  readonly withoutSharedStore: WithoutStore;
}

const channel = 'gatewayctl_leases';

/** Limits as this daemon counts them together with the others of its database. */
export class SharedRates {
  readonly leases: RateLeases;
  readonly #stores: RateStores;

  constructor({ pool, daemon, log, redis, withoutSharedStore }: SharedRatesOptions) {
    const epoch = randomUUID();
    this.#stores = new RateStores({
      redis: redis && new RedisRateStore({ ...redis, daemon, epoch }),
      postgres: new PostgresRateStore(pool, { daemon, epoch }),
      onSwitch: () => this.leases.tellAll(),
      tellWithoutRedis: async () => void (await pool.query('select pg_notify($1, $2)', [channel, `${word} ${daemon}`])),
    });
    this.leases = new RateLeases({
      store: this.#stores,
      withoutStore: withoutSharedStore,
      onAway: (error) =>
        log('warn', `Limits cannot be counted with other daemons; ${meanwhile[withoutSharedStore]}`, { error }),
      onBack: () => log('info', 'Limits are counted with other daemons again'),
    });
  }

  get state(): LimitsState {
    const { isAway, withoutStore } = this.leases;
    return { countedIn: isAway ? null : this.#stores.name, withoutSharedStore: withoutStore };
  }

  /** What another daemon says. Whoever may connect may say it; it only makes us count in PostgreSQL. */
  heard(payload: string): void {
    if (payload.split(' ')[0] === word) this.#stores.heardWithoutRedis();
  }
}

const word = 'without_redis';
