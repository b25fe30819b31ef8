import type pg from 'pg';
import { asDatabaseTrouble } from '../db/errors.ts';
import type { Reachability } from '../db/reachability.ts';
import { GatewayError } from '../kernel/errors.ts';
import type { Region } from '../kernel/region.ts';
import { BoundedMap } from './bounded-map.ts';
import { readHeld } from './held.ts';
import { findPayerRows, type PayerRow } from './payer.queries.ts';
import type { Seed } from './principal-of.ts';
import type { BudgetLimit, Held, Holder } from './principal.ts';

/** A customer or a tag that a call is charged to, as it was when it was read; or the gateway, which every call is. */
export interface Payer extends Holder, Held {
  readonly entity: 'customer' | 'tag' | 'gateway';
  readonly blocked: boolean;
  /** Of a tag: the models it may be used with; empty is all. */
  readonly models: readonly string[];
  /** Of a customer: where its calls may be worked on; anywhere when absent. */
  readonly region?: Region | undefined;
}

export interface PayersOptions {
  readonly pool: pg.Pool;
  readonly reachability: Pick<Reachability, 'require'>;
  /** Milliseconds an entry lives. */
  readonly ttl: number;
  /** Milliseconds for which an entry serves on after that while the database is away. */
  readonly staleMax: number;
  readonly maxEntries: number;
  readonly seed: Seed;
  /** What everybody together may spend, in nano-dollars. */
  readonly gateway?: Pick<BudgetLimit, 'max' | 'duration'> | undefined;
}

export interface Named {
  readonly customer: string | undefined;
  readonly tags: readonly string[];
}

interface Entry {
  /** Undefined when there is nobody of that name: most users of a client are no customers of anybody. */
  readonly payer: Payer | undefined;
  readonly untilMs: number;
}

const LOOKUP_MS = 1_800;

/** The customers and tags that requests name, and what limits them; read once and kept until they change. */
export class Payers {
  readonly #options: PayersOptions;
  readonly #entries: BoundedMap<Entry>;
  readonly #loading = new Map<string, Promise<Payer | undefined>>();
  /** Raised with every change: what was read before one is not kept. */
  #fence = 0;
  /** Whom a call is charged to that names nobody. */
  readonly #always: readonly Payer[];
  #trusted = false;

  constructor(options: PayersOptions) {
    this.#options = options;
    this.#entries = new BoundedMap(options.maxEntries);
    this.#always = options.gateway ? [gatewayWith(options.gateway)] : [];
  }

  /**
   * Those among the named that exist; at once when all of them are known.
   *
   * @throws GatewayError 503 when we cannot know
   */
  find({ customer, tags }: Named): readonly Payer[] | Promise<readonly Payer[]> {
    if (customer === undefined && tags.length === 0) return this.#always;
    const found: Payer[] = [...this.#always];
    let waits: Promise<Payer | undefined>[] | undefined;
    const now = performance.now();
    const add = (entity: PayerRow['entity'], id: string) => {
      const entry = this.#entries.get(nameOf(entity, id));
      if (!entry || !this.#trusted || entry.untilMs <= now) (waits ??= []).push(this.#load(entity, id));
      else if (entry.payer) found.push(entry.payer);
    };
    if (customer !== undefined) add('customer', customer);
    for (const tag of tags) add('tag', tag);
    if (!waits) return found;
    return Promise.all(waits).then((loaded) => [...found, ...loaded.filter((payer) => payer !== undefined)]);
  }

  forget(entity: PayerRow['entity'], id: string): void {
    this.#fence++;
    this.#entries.delete(nameOf(entity, id));
  }

  /** A shared budget has changed, and whose it is was not kept. */
  forgetAll(): void {
    this.#fence++;
    this.#entries.clear();
  }

  /** Changes are heard of from now on; what was read before may be out of date. */
  trust(): void {
    this.forgetAll();
    this.#trusted = true;
  }

  /** Changes cannot be heard of: everybody is looked up anew, and what is known serves only where that fails. */
  distrust(): void {
    this.#fence++;
    this.#trusted = false;
  }

  #load(entity: PayerRow['entity'], id: string): Promise<Payer | undefined> {
    const name = nameOf(entity, id);
    let loading = this.#loading.get(name);
    if (!loading) {
      loading = this.#read(entity, id).finally(() => this.#loading.delete(name));
      this.#loading.set(name, loading);
    }
    return loading;
  }

  async #read(entity: PayerRow['entity'], id: string): Promise<Payer | undefined> {
    const { pool, reachability, ttl, staleMax, seed } = this.#options;
    const name = nameOf(entity, id);
    const fence = this.#fence;
    try {
      reachability.require();
      const named = entity === 'customer' ? { customers: [id], tags: [] } : { customers: [], tags: [id] };
      const [row] = await findPayerRows(pool, named, LOOKUP_MS);
      const payer = row && payerOf(row, seed);
      if (fence === this.#fence) this.#entries.set(name, { payer, untilMs: performance.now() + ttl });
      return payer;
    } catch (thrown) {
      const trouble = asDatabaseTrouble(thrown);
      const known = this.#entries.get(name);
      const isAway = trouble instanceof GatewayError && trouble.type === 'database_unreachable';
      if (isAway && known && known.untilMs + staleMax > performance.now()) return known.payer;
      throw trouble;
    }
  }
}

const nameOf = (entity: PayerRow['entity'], id: string): string => `${entity} ${id}`;

function payerOf({ entity, id, label, blocked, models, region, limits }: PayerRow, seed: Seed): Payer {
  const holder = { entity, id, label };
  const { held, spent } = readHeld(holder, limits);
  if (held.budgets.some(({ duration }) => duration === undefined)) seed(entity, id, spent);
  return Object.freeze({ ...holder, entity, ...held, blocked, models, ...(region !== null && { region }) });
}

function gatewayWith({ max, duration }: Pick<BudgetLimit, 'max' | 'duration'>): Payer {
  const holder = { entity: 'gateway', id: 'gateway', label: 'gateway' } as const;
  const budget = { ...holder, max, ...(duration !== undefined && { duration }) };
  return Object.freeze({
    ...holder,
    budgets: [budget],
    rates: [],
    modelBudgets: [],
    modelRates: [],
    blocked: false,
    models: [],
  });
}
