import { Keyv } from 'keyv';
import { BoundedMap } from './bounded-map.ts';
import { type Principal, standingsOf } from './principal.ts';
import { RowAges } from './row-ages.ts';

export interface Known {
  readonly principal: Principal;
}

/** A look-up's result. Absence is remembered too, so that guessing keys costs the database nothing. */
export type Cached = Known | 'unknown';

export interface KeyCacheOptions {
  /** Milliseconds after which an entry is looked up anew. */
  readonly ttl: number;
  readonly negativeTtl: number;
  /** Of keys that are known, and as many again of keys that are not: guesses must not push the good ones out. */
  readonly maxEntries: number;
  /**
   * Milliseconds for which known keys may be served on while the database is away: after their own time is over, and
   * after changes can no longer be heard of; 0 is never.
   */
  readonly staleMax: number;
  /** The second tier, shared by daemons; absent without Redis. */
  readonly shared?: SharedCache | undefined;
}

/** How an entry came to be. */
export interface Filled {
  readonly fence: Fence;
  readonly snapshot?: Snapshot;
  /** Milliseconds after which it counts no more, where that is sooner than for others. */
  readonly ttl?: number;
}

/** How much had changed when a look-up began; see `store`. */
export interface Fence {
  readonly changes: number;
  readonly arrivals: number;
}

/** A principal and when its row was read, by the clock of the database. */
export interface Snapshot {
  readonly principal: Principal;
  /** Milliseconds since 1970. */
  readonly readAt: number;
}

/** A tier outside the process: slow, fallible, never trusted to be there. */
export interface SharedCache {
  get(hash: string): Promise<Snapshot | undefined>;
  set(hash: string, snapshot: Snapshot): Promise<void>;
  delete(hashes: readonly string[]): Promise<void>;
  /** Milliseconds an entry lives. */
  readonly ttl: number;
}

/** How long the connections of a server that dies may take to break one after the other. */
const DYING_MS = 1_000;

const never = Number.POSITIVE_INFINITY;

/**
 * What is known of keys, by hash. Entries are immutable and nobody writes back what it only read, so a deleted key
 * cannot come back to life.
 *
 * The race that remains: a look-up reads a row, the row changes and the change is announced, then the look-up stores
 * the old row. So whoever fills takes a fence first, and the store is refused when anything was invalidated since.
 *
 * What other daemons have put into the shared tier is believed only where `RowAges` says so: an entry that was not
 * dropped, or that somebody puts back who kept a copy, is of no use.
 */
export class KeyCache {
  readonly #options: KeyCacheOptions;
  readonly #local: Keyv<Kept>;
  readonly #entries: BoundedMap<Entry>;
  /** Keys that are not known, and until when that is believed by this process's clock. */
  readonly #unknown: BoundedMap<number>;
  #changes = 0;
  #arrivals = 0;
  #trusted = false;
  readonly #ages = new RowAges();
  /** What was known when changes could no longer be heard of, for the case that the database is away altogether. */
  #aside: { readonly entries: Map<string, Entry>; readonly sinceMs: number; readonly untilMs: number } | undefined;

  constructor(options: KeyCacheOptions) {
    this.#options = options;
    this.#entries = new BoundedMap(options.maxEntries);
    this.#unknown = new BoundedMap(options.maxEntries);
    // No serialisation: snapshots are frozen, so handing out the object itself is safe, and costs nothing.
    this.#local = new Keyv<Kept>({ store: this.#entries, useKeyPrefix: false });
    this.#local.serialize = undefined;
    this.#local.deserialize = undefined;
  }

  /** Taken before the database is read; see `store`. */
  get fence(): Fence {
    return { changes: this.#changes, arrivals: this.#arrivals };
  }

  /** What this process knows: 0.4 µs, which is what the warm path pays. */
  async read(hash: string): Promise<Cached | undefined> {
    if (!this.#trusted) return undefined;
    const known = await this.#local.get<Kept>(hash);
    if (known && known.freshUntilMs > performance.now()) return known;
    return this.#readUnknown(hash);
  }

  #readUnknown(hash: string): 'unknown' | undefined {
    const untilMs = this.#unknown.get(hash);
    if (untilMs === undefined) return undefined;
    if (untilMs > performance.now()) return 'unknown';
    this.#unknown.delete(hash);
    return undefined;
  }

  async readShared(hash: string): Promise<Snapshot | undefined> {
    const { shared } = this.#options;
    if (!this.#trusted || !shared) return undefined;
    const snapshot = await shared.get(hash);
    // Looked at only now: a change may have been heard of while Redis answered.
    if (!snapshot) return undefined;
    const { principal, readAt } = snapshot;
    return this.#ages.isCurrent(readAt, [hash, ...ownersOf(principal)], shared.ttl) ? snapshot : undefined;
  }

  /**
   * Known, and its time is over or changes can no longer be heard of: only for when the database itself cannot be asked.
   * Without the first, a key whose five seconds end in the moment of an outage would be refused for as long as that lasts.
   */
  readAside(hash: string): Known | undefined {
    const entry = this.#known?.get(hash);
    return entry && (entry.expires ?? never) > Date.now() ? entry.value : undefined;
  }

  get #known(): ReadonlyMap<string, Entry> | undefined {
    if (this.#trusted) return this.#entries;
    return this.#aside && this.#aside.untilMs > performance.now() ? this.#aside.entries : undefined;
  }

  /**
   * The database has answered a look-up: it is there, and only what it says counts. But for the first moment: of a server
   * that dies the connection that hears of changes may go before the one that answers, and then nobody would be served.
   */
  answered(hash: string, cached: Cached): void {
    if (!this.#aside) return;
    if (performance.now() - this.#aside.sinceMs > DYING_MS) this.#aside = undefined;
    else if (cached === 'unknown') this.#aside.entries.delete(hash);
    else this.#aside.entries.set(hash, { value: this.#kept(cached) });
  }

  /** @param snapshot as it was read from the database; what came from the shared tier is only kept here */
  async store(hash: string, cached: Cached, { fence, snapshot, ttl }: Filled): Promise<void> {
    if (!this.#trusted || fence.changes !== this.#changes) return;
    if (cached === 'unknown') {
      if (fence.arrivals !== this.#arrivals) return;
      this.#unknown.set(hash, performance.now() + this.#options.negativeTtl);
      return;
    }
    // Keyv keeps for ever what is to live for no time at all.
    if (ttl !== undefined && ttl <= 0) return;
    const kept = this.#kept(cached, ttl);
    // The oldest leave first, and it is new now.
    this.#entries.delete(hash);
    await this.#local.set(hash, kept, kept.freshUntilMs - performance.now() + this.#options.staleMax);
    // Nobody waits for it: of a Redis that stands still a request pays for the question, and not for the answer too.
    if (snapshot) void this.#share(hash, snapshot, fence);
  }

  async #share(hash: string, snapshot: Snapshot, fence: Fence): Promise<void> {
    const { shared } = this.#options;
    if (!shared) return;
    await shared.set(hash, snapshot);
    // Invalidated while it was being written: the deletion may have overtaken it.
    if (fence.changes !== this.#changes) await shared.delete([hash]);
  }

  #kept({ principal }: Known, ttl = this.#options.ttl): Kept {
    return { principal, freshUntilMs: performance.now() + Math.min(ttl, this.#options.ttl) };
  }

  /**
   * A key was made: that it is unknown is no longer true. What is known of others stays, also what is being looked up,
   * or nothing could be cached while a script makes a thousand keys.
   */
  welcome(hashes: readonly string[]): void {
    this.#arrivals++;
    for (const hash of hashes) this.#unknown.delete(hash);
  }

  /** Drops hashes everywhere we reach. Every daemon hears of the change and does the same. */
  invalidate(hashes: readonly string[]): void {
    this.#changes++;
    for (const hash of hashes) this.#forget(hash);
    this.#forgetWhere(({ principal: { hash, token } }) => token !== undefined && hashes.includes(hash));
    void this.#dropShared(hashes);
  }

  /** What tokens are mapped to has changed. */
  invalidateTokens(): void {
    this.#changes++;
    this.#forgetWhere(({ principal }) => principal.token !== undefined);
  }

  #forgetWhere(isMeant: (known: Known) => boolean): void {
    for (const entries of [this.#entries, this.#aside?.entries ?? []]) {
      for (const [name, { value }] of entries) if (isMeant(value)) this.#forget(name);
    }
  }

  /**
   * Drops what is known of the keys of a team, user or organization, or of those a shared budget limits. Those of this process are found here; Redis may
   * hold others, and which they are has to be asked.
   *
   * @param hashes all keys of the owner, or undefined when they cannot be found out
   */
  invalidateOwner(entity: Owner, id: string, hashes: () => Promise<readonly string[] | undefined>): void {
    this.#changes++;
    const name = ownerName(entity, id);
    this.#forgetWhere(({ principal }) => standingsOf(principal).some((each) => ownersOf(each).includes(name)));
    const { shared } = this.#options;
    if (!shared) return;
    this.#ages.distrust([name], shared.ttl);
    void this.#dropSharedOf(hashes);
  }

  #forget(hash: string): void {
    this.#entries.delete(hash);
    this.#unknown.delete(hash);
    this.#aside?.entries.delete(hash);
  }

  /** Changes are heard of. @param since when the database was first listened to, by its own clock */
  trust(since: number): void {
    this.#begin();
    this.#ages.begin(since);
    this.#trusted = true;
  }

  /** While changes cannot be heard of nothing is cached: a revoked key must not live on because a connection broke. */
  distrust(): void {
    const aside = this.#trusted && this.#options.staleMax > 0 ? this.#setAside() : this.#aside;
    this.forgetAll();
    this.#aside = aside;
  }

  #setAside() {
    const now = Date.now();
    const entries = new Map([...this.#entries].filter(([, { expires = never }]) => expires > now));
    const sinceMs = performance.now();
    return { entries, sinceMs, untilMs: sinceMs + this.#options.staleMax };
  }

  /** A change has gone by and nobody knows which: nothing that was known before counts, in no case. */
  forgetAll(): void {
    this.#trusted = false;
    this.#begin();
    this.#ages.end();
  }

  #begin(): void {
    this.#changes++;
    this.#entries.clear();
    this.#unknown.clear();
    this.#aside = undefined;
  }

  async #dropSharedOf(hashes: () => Promise<readonly string[] | undefined>): Promise<void> {
    const all = await hashes();
    if (all) await this.#dropShared(all);
  }

  async #dropShared(hashes: readonly string[]): Promise<void> {
    const { shared } = this.#options;
    if (!shared || hashes.length === 0) return;
    this.#ages.distrust(hashes, shared.ttl);
    await shared.delete(hashes);
  }
}

/** Whose change makes what is known of a key untrue. */
export type Owner = 'team' | 'user' | 'organization' | 'budget';

const ownerName = (entity: Owner, id: string): string => `${entity} ${id}`;

function ownersOf({ userId, sharedBudgets, token, ...own }: Principal): string[] {
  const names = sharedBudgets.map((id) => ownerName('budget', id));
  if (userId !== null) names.push(ownerName('user', userId));
  for (const { teamId, organizationId } of [own, ...(token?.passedOver ?? [])]) {
    if (teamId !== null) names.push(ownerName('team', teamId));
    if (organizationId !== null) names.push(ownerName('organization', organizationId));
  }
  return names;
}

interface Kept extends Known {
  readonly freshUntilMs: number;
}

/** As Keyv keeps it. */
interface Entry {
  readonly value: Kept;
  /** By `Date.now()`. */
  readonly expires?: number | undefined;
}
