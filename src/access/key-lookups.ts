import type pg from 'pg';
import { asDatabaseTrouble, databaseAway } from '../db/errors.ts';
import type { Reachability } from '../db/reachability.ts';
import { findKeyRows, type KeyRow } from '../keys/key.queries.ts';

/** All that a look-up may take. PostgreSQL answers one in less than a millisecond; a client should be told soon. */
export const LOOKUP_MS = 1_800;

/** Statements under way: a fifth of the pool, so that a burst of keys holds up neither the ledger nor an administrator. */
const STATEMENTS_AT_MOST = 4;

/** Keys in one statement. Planning it takes longer than finding a row. */
const KEYS_AT_ONCE = 100;

export interface KeyLookupsOptions {
  readonly pool: pg.Pool;
  readonly reachability: Pick<Reachability, 'require'>;
}

/**
 * Finds the rows of keys. While the statements there may be are under way, whoever comes waits, and all who wait are asked
 * for together: 2,000 unseen keys are some twenty statements, and nobody's own deadline passes in a queue.
 */
export class KeyLookups {
  readonly #options: KeyLookupsOptions;
  readonly #waiting = new Map<string, PromiseWithResolvers<KeyRow | undefined>>();
  #underWay = 0;

  constructor(options: KeyLookupsOptions) {
    this.#options = options;
  }

  /**
   * @param hash which nobody else is asking for at this moment
   * @throws GatewayError 503 when the database does not answer in time
   */
  async find(hash: string): Promise<KeyRow | undefined> {
    this.#options.reachability.require();
    const found = Promise.withResolvers<KeyRow | undefined>();
    const timer = setTimeout(() => {
      this.#waiting.delete(hash);
      found.reject(databaseAway(undefined));
    }, LOOKUP_MS);
    this.#waiting.set(hash, found);
    this.#next();
    return found.promise.finally(() => clearTimeout(timer));
  }

  #next(): void {
    while (this.#underWay < STATEMENTS_AT_MOST && this.#waiting.size > 0) {
      const chosen = new Map([...this.#waiting].slice(0, KEYS_AT_ONCE));
      for (const hash of chosen.keys()) this.#waiting.delete(hash);
      void this.#ask(chosen);
    }
  }

  async #ask(chosen: ReadonlyMap<string, PromiseWithResolvers<KeyRow | undefined>>): Promise<void> {
    this.#underWay++;
    try {
      const rows = await findKeyRows(this.#options.pool, [...chosen.keys()], LOOKUP_MS);
      for (const [hash, found] of chosen) found.resolve(rows.get(hash));
    } catch (thrown) {
      const trouble = asDatabaseTrouble(thrown);
      for (const found of chosen.values()) found.reject(trouble);
    } finally {
      this.#underWay--;
      this.#next();
    }
  }
}
