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

/** A principal and when its row was read, by the clock of the database. */
export interface Snapshot {
  readonly principal: Principal;
  /** Milliseconds since 1970. */
  readonly readAt: number;
}

/** A tier outside the process: slow, fallible, never trusted to be there. */
export interface SharedCache extends AsyncDisposable {
  get(hash: string): Promise<Snapshot | undefined>;
  set(hash: string, snapshot: Snapshot): Promise<void>;
  /** Whether the entries are gone for certain. */
  delete(hashes: readonly string[]): Promise<boolean>;
  /** Milliseconds an entry lives. */
  readonly ttl: number;
}

/** Longer than a change needs to reach every daemon: until then another may put back what it read before the change. */
const SETTLING_MS = 10_000;

const never = Number.POSITIVE_INFINITY;

/**
 * What is known of keys, by hash. Entries are immutable and nobody writes back what it only read, so a deleted key
 * cannot come back to life.
 *
 * The race that remains: a look-up reads a row, the row changes and the change is announced, then the look-up stores
 * the old row. So whoever fills takes a fence first, and the store is refused when anything was invalidated since.
 *
 * What other daemons have put into the shared tier is believed only if its row was read after this process began to
 * hear of changes (a change made before that may have gone by with nobody to drop the entry), and not where a change
 * was heard of lately, or could not be dropped there.
 */
export class KeyCache {
  readonly #options: KeyCacheOptions;
  readonly #local: Keyv<Cached>;
  readonly #entries: BoundedMap;
  #fence = 0;
  #trusted = false;
  /** Shared entries of rows read before this are not believed. The database's clock, so that no two clocks are compared. */
  #since = never;
  /** Hashes and owners whose shared entries are not believed, and until when by this process's clock. */
  readonly #doubted = new Map<string, number>();

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

  /** What this process knows: 0.4 µs, which is what the warm path pays. */
  async read(hash: string): Promise<Cached | undefined> {
    return this.#trusted ? this.#local.get<Cached>(hash) : undefined;
  }

  async readShared(hash: string): Promise<Snapshot | undefined> {
    const { shared } = this.#options;
    if (!this.#trusted || !shared || this.#isDoubted(hash)) return undefined;
    const snapshot = await shared.get(hash);
    if (!snapshot || snapshot.readAt < this.#since) return undefined;
    // Asked again: the change may have been heard of while Redis answered.
    return [hash, ...ownersOf(snapshot.principal)].some((name) => this.#isDoubted(name)) ? undefined : snapshot;
  }

  /** @param snapshot as it was read from the database; what came from the shared tier is only kept here */
  async store(
    hash: string,
    cached: Cached,
    { fence, snapshot }: { fence: number; snapshot?: Snapshot },
  ): Promise<void> {
    if (!this.#trusted || fence !== this.#fence) return;
    await this.#local.set(hash, cached, cached === 'unknown' ? this.#options.negativeTtl : this.#options.ttl);
    if (!snapshot || !this.#options.shared) return;
    await this.#options.shared.set(hash, snapshot);
    // Invalidated while it was being written: the deletion may have overtaken it.
    if (fence !== this.#fence) await this.#options.shared.delete([hash]);
  }

  /** Drops hashes everywhere we reach. Every daemon hears of the change and does the same. */
  invalidate(hashes: readonly string[]): void {
    this.#fence++;
    for (const hash of hashes) this.#entries.delete(hash);
    void this.#dropShared(hashes);
  }

  /**
   * Drops what is known of the keys of a team, user or organization. Those of this process are found here; Redis may
   * hold others, and which they are has to be asked.
   *
   * @param hashes all keys of the owner, or undefined when they cannot be found out
   */
  invalidateOwner(entity: Owner, id: string, hashes: () => Promise<readonly string[] | undefined>): void {
    this.#fence++;
    const name = ownerName(entity, id);
    for (const [hash, { value }] of this.#entries) {
      if (value !== 'unknown' && ownersOf(value.principal).includes(name)) this.#entries.delete(hash);
    }
    const { shared } = this.#options;
    if (!shared) return;
    // Until all of them are gone for certain no shared entry of this owner is believed.
    this.#doubt(name, shared.ttl);
    void this.#dropSharedOf(name, hashes);
  }

  /**
   * While changes cannot be heard of nothing is cached: a revoked key must not live on because a connection broke.
   *
   * @param since when the database was first listened to, by its own clock; undefined when it is not
   */
  trust(since: number | undefined): void {
    this.#fence++;
    this.#trusted = since !== undefined;
    this.#since = since ?? never;
    this.#entries.clear();
  }

  async #dropSharedOf(name: string, hashes: () => Promise<readonly string[] | undefined>): Promise<void> {
    const all = await hashes();
    if (all && (await this.#dropShared(all))) this.#doubt(name, SETTLING_MS);
  }

  async #dropShared(hashes: readonly string[]): Promise<boolean> {
    const { shared } = this.#options;
    if (!shared || hashes.length === 0) return true;
    for (const hash of hashes) this.#doubt(hash, shared.ttl);
    const isGone = await shared.delete(hashes);
    if (isGone) for (const hash of hashes) this.#doubt(hash, SETTLING_MS);
    return isGone;
  }

  #doubt(name: string, ms: number): void {
    const now = performance.now();
    // The oldest stand first; what has run out is swept as new ones come.
    for (const [each, until] of this.#doubted) {
      if (until > now) break;
      this.#doubted.delete(each);
    }
    this.#doubted.delete(name);
    this.#doubted.set(name, now + ms);
  }

  #isDoubted(name: string): boolean {
    return (this.#doubted.get(name) ?? 0) > performance.now();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#options.shared?.[Symbol.asyncDispose]();
  }
}

type Owner = 'team' | 'user' | 'organization';

const ownerName = (entity: Owner, id: string): string => `${entity} ${id}`;

const ownersOf = ({ teamId, userId, organizationId }: Principal): string[] => [
  ...(teamId === null ? [] : [ownerName('team', teamId)]),
  ...(userId === null ? [] : [ownerName('user', userId)]),
  ...(organizationId === null ? [] : [ownerName('organization', organizationId)]),
];

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
}
