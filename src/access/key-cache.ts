import { Keyv } from 'keyv';
import type { Principal } from './principal.ts';

/** A look-up's result. Absence is remembered too, so that guessing keys costs the database nothing. */
export type Cached = { readonly principal: Principal } | 'unknown';

export interface KeyCacheOptions {
  /** Milliseconds an entry lives in this process. */
  readonly ttl: number;
  readonly negativeTtl: number;
  readonly maxEntries: number;
  /** The second tier, shared by daemons; absent without Redis. */
  readonly shared?: SharedCache | undefined;
}

/** A tier outside the process: slow, fallible, never trusted to be there. */
export interface SharedCache extends AsyncDisposable {
  get(hash: string): Promise<Principal | undefined>;
  set(hash: string, principal: Principal): Promise<void>;
  delete(hashes: readonly string[]): Promise<void>;
}

/**
 * What is known of keys, by hash. Entries are immutable and nobody writes back what it only read, so a deleted key
 * cannot come back to life.
 *
 * The race that remains: a look-up reads a row, the row changes and the change is announced, then the look-up stores
 * the old row. So whoever fills takes a fence first, and the store is refused when anything was invalidated since.
 */
export class KeyCache {
  readonly #options: KeyCacheOptions;
  readonly #local: Keyv<Cached>;
  readonly #entries: BoundedMap;
  #fence = 0;
  #trusted = false;

  constructor(options: KeyCacheOptions) {
    this.#options = options;
    this.#entries = new BoundedMap(options.maxEntries);
    // No serialisation: snapshots are frozen, so handing out the object itself is safe, and costs nothing.
    this.#local = new Keyv<Cached>({ store: this.#entries, useKeyPrefix: false });
    this.#local.serialize = undefined;
    this.#local.deserialize = undefined;
  }

  /** Taken before the database is read; see `store`. */
  get fence(): number {
    return this.#fence;
  }

  get isShared(): boolean {
    return this.#options.shared !== undefined;
  }

  /** What this process knows: 0.4 µs, which is what the warm path pays. */
  async read(hash: string): Promise<Cached | undefined> {
    return this.#trusted ? this.#local.get<Cached>(hash) : undefined;
  }

  async readShared(hash: string): Promise<Principal | undefined> {
    return this.#trusted ? this.#options.shared?.get(hash) : undefined;
  }

  async store(hash: string, cached: Cached, fence: number): Promise<void> {
    if (!this.#trusted || fence !== this.#fence) return;
    await this.#local.set(hash, cached, cached === 'unknown' ? this.#options.negativeTtl : this.#options.ttl);
    if (cached !== 'unknown') await this.#options.shared?.set(hash, cached.principal);
  }

  /** Drops hashes everywhere we reach. Every daemon hears of the change and does the same. */
  invalidate(hashes: readonly string[]): void {
    this.#fence++;
    for (const hash of hashes) this.#entries.delete(hash);
    void this.#options.shared?.delete(hashes);
  }

  /** Drops the entries of this process that hold for a principal, and says which they were. */
  invalidateWhere(matches: (principal: Principal) => boolean): void {
    this.#fence++;
    const hashes = this.#entries.keysWhere((cached) => cached !== 'unknown' && matches(cached.principal));
    this.invalidate(hashes);
  }

  /** While changes cannot be heard of nothing is cached: a revoked key must not live on because a connection broke. */
  trust(trusted: boolean): void {
    this.#fence++;
    this.#trusted = trusted;
    this.#entries.clear();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#options.shared?.[Symbol.asyncDispose]();
  }
}

/** As Keyv keeps it. */
interface Entry {
  readonly value: Cached;
}

/** The Map beneath Keyv: oldest entries leave first once it is full. */
class BoundedMap extends Map<string, Entry> {
  readonly #max: number;

  constructor(max: number) {
    super();
    this.#max = max;
  }

  override set(key: string, entry: Entry): this {
    if (this.size >= this.#max && !this.has(key)) {
      const [oldest] = this.keys();
      if (oldest !== undefined) this.delete(oldest);
    }
    return super.set(key, entry);
  }

  keysWhere(matches: (cached: Cached) => boolean): string[] {
    return [...this].filter(([, { value }]) => matches(value)).map(([key]) => key);
  }
}
