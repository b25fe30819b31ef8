import type { RateGranted, RateWanted } from './rate-store.ts';
import { type SlidingCount, slotAt } from './sliding-count.ts';

/** What is used is told to the others in pieces of so long. */
const pieceMs = 200;
/** More pieces than these are told as what this daemon has counted in its last minute. */
const mostPieces = 300;

/** For so long it is taken for granted that there is no more: it bounds the exchanges that a used-up limit causes. */
const denyForMs = 100;
const heldForMs = 1_000;
/** A limit is taken in chunks of this part of it at first, and of no more than the other when calls come fast. */
const firstPart = 20;
const largestPart = 4;
/** Calls of so long are taken in advance. */
const aheadSeconds = 2;

const never = Number.NEGATIVE_INFINITY;

/**
 * What this daemon holds of one limit, and what it has used of that since it last said so. Amounts are requests, tokens,
 * or calls at once.
 */
export class RateLease {
  readonly name: string;
  /** Of the last minute, in this process; absent for calls at once, of which only those under way count. */
  readonly #count: SlidingCount | undefined;
  #most: number;
  #held = 0;
  #inUse = 0;
  /** Not yet told, and on its way to be told. Of both, what is used of what is held; a piece that is less than nothing is not. */
  #pieces = new Map<number, number>();
  #fresh = 0;
  #refunds = 0;
  #sent = new Map<number, number>();
  #sentUse = 0;
  /** What is told next is all of the last minute. */
  #tellsAll = false;
  #toldAll = false;
  #generation: string | undefined;
  #validUntilMs = never;
  #room = 0;
  #others = 0;
  #pace = 0;
  #usedSince = 0;
  #exchangedAtMs = never;
  #deniedUntilMs = never;
  #deniedAmount = 0;
  #freeAtMs = 0;
  /** What calls wait for. */
  readonly waiting: number[] = [];
  /** It is in an exchange, or will be in the next. */
  isAsked = false;
  /** Whether it is looked after. */
  isActive = false;

  constructor(name: string, most: number, count: SlidingCount | undefined) {
    this.name = name;
    this.#most = most;
    this.#count = count;
  }

  /** Whether there is room for so much in what is held. Asks nobody. */
  covers(amount: number, nowMs: number): boolean {
    return nowMs < this.#validUntilMs && amount <= this.#free;
  }

  /** What can be used by anybody at the moment, as far as is known here; undefined where nothing is. */
  left(nowMs: number): number | undefined {
    if (nowMs >= this.#validUntilMs) return undefined;
    return Math.max(0, this.#free + this.#refunds + Math.max(0, this.#room));
  }

  /** Milliseconds until there is room, where it was just found that there is none for a call like this; else undefined. */
  deniedForMs(amount: number, nowMs: number): number | undefined {
    if (amount < this.#deniedAmount || nowMs >= this.#deniedUntilMs) return undefined;
    return Math.max(1, this.#freeAtMs - nowMs);
  }

  /** What is held is of no use once the limit is another: the store is asked before the next call. */
  limitTo(most: number): void {
    if (most === this.#most) return;
    this.#most = most;
    this.#validUntilMs = never;
    this.#deniedUntilMs = never;
  }

  /** @returns whether more should be taken in advance */
  take(amount: number, nowMs: number): boolean {
    this.#usedSince += amount;
    if (this.#count) this.#add(nowMs, amount);
    else this.#inUse++;
    if (this.isAsked || this.#room <= 0 || this.#isTight) return false;
    return this.#free * 2 < this.#target(nowMs);
  }

  /** A call that took some turned out to use more, or less. */
  correct(takenMs: number, amount: number): void {
    this.#add(takenMs, amount);
  }

  /** One of the calls at once is over. @returns whether others wait for its place */
  end(): boolean {
    this.#inUse--;
    return this.#room <= 0 && this.#others > 0;
  }

  /** Whether it is to be in an exchange although nobody asks. */
  isDue(nowMs: number, everyMs: number): boolean {
    if (this.#held === 0 && this.#inUse === 0 && this.#pieces.size === 0 && !this.#tellsAll) return false;
    return nowMs - this.#exchangedAtMs >= everyMs || (this.#isTight && this.#held > 0);
  }

  /** Nothing is held, nothing is to be told, and nothing was counted that another store might have to be told of. */
  isIdle(): boolean {
    if (this.isAsked || this.#held > 0 || this.#inUse > 0 || this.#pieces.size > 0) return false;
    return (this.#count?.total(slotAt(Date.now())) ?? 0) === 0;
  }

  /** @param isLast all is given back */
  wanted(nowMs: number, isLast: boolean): RateWanted {
    const elapsed = Math.max(250, nowMs - this.#exchangedAtMs);
    this.#pace = Math.max((this.#usedSince / elapsed) * 1_000, this.#usedSince === 0 ? 0 : this.#pace / 2);
    const isUnused = this.#usedSince === 0 && this.waiting.length === 0;
    this.#usedSince = 0;
    this.#exchangedAtMs = nowMs;
    const target = isUnused || isLast ? 0 : this.#target(nowMs);
    const isOut = nowMs >= this.#validUntilMs;
    const gift = isOut ? 0 : Math.max(0, this.waiting.length > 0 && !isLast ? 0 : Math.floor(this.#free - target));
    this.#held -= gift;
    const uses = this.#tell(nowMs);
    return {
      name: this.name,
      most: this.#most,
      isWindow: this.#count !== undefined,
      generation: this.#generation,
      uses,
      gift,
      inUse: this.#inUse,
      need: this.waiting.length === 0 ? 0 : Math.min(...this.waiting),
      want: this.waiting.reduce((sum, each) => sum + each, 0),
      target,
    };
  }

  /** @param waited what calls have waited for in this exchange */
  took(granted: RateGranted, waited: readonly number[], { sentMs, lifeMs }: { sentMs: number; lifeMs: number }): void {
    this.isAsked = false;
    if (granted.isStranger) {
      this.#generation = granted.generation;
      this.#held = 0;
      this.#validUntilMs = never;
      this.#tellsAll = true;
      this.#dropPieces();
      return;
    }
    this.#generation = granted.generation;
    this.#sent.clear();
    this.#sentUse = 0;
    this.#held = granted.own;
    this.#room = granted.room;
    this.#others = granted.others;
    this.#validUntilMs = sentMs + lifeMs;
    const least = waited.length === 0 ? 0 : Math.min(...waited);
    // What was free when this was sent may be used by now, although there is more: then it is asked for again.
    if (least <= this.#free || least <= granted.room) return;
    const nowMs = performance.now();
    // What others hold and do not use comes back sooner than what is used.
    const isHeld = least <= this.#free + granted.room + granted.others;
    const waitMs = !this.#count || isHeld ? heldForMs : granted.waitMs;
    this.#deniedAmount = least;
    this.#freeAtMs = nowMs + waitMs;
    this.#deniedUntilMs = nowMs + Math.min(denyForMs, waitMs);
  }

  /** Nobody knows whether what was said has been heard: it is said again, and counts twice at most. */
  failed(): void {
    this.isAsked = false;
    if (this.#toldAll) {
      this.#tellsAll = true;
      this.#dropPieces();
      return;
    }
    for (const [piece, amount] of this.#sent) this.#addTo(piece, amount);
    this.#sent.clear();
    this.#sentUse = 0;
  }

  /** Nobody looks after it any more, and whoever counted may have forgotten it. */
  retire(): void {
    this.isActive = false;
    this.#generation = undefined;
  }

  /** It is not asked for after all. */
  dropped(): void {
    this.isAsked = false;
    this.waiting.length = 0;
  }

  get #free(): number {
    return this.#count ? this.#held - this.#sentUse - this.#fresh : this.#held - this.#inUse;
  }

  get #isTight(): boolean {
    return this.#others > 0 && this.#room * 2 < this.#most;
  }

  #target(nowMs: number): number {
    const seconds = Math.max(0.25, (nowMs - this.#exchangedAtMs) / 1_000);
    const pace = Math.max(this.#pace, this.#usedSince / seconds);
    const first = Math.max(1, Math.floor(this.#most / firstPart));
    const largest = Math.max(1, Math.floor(this.#most / largestPart));
    if (!this.#count) return this.#isTight ? 0 : first;
    if (this.#isTight) return Math.min(largest, Math.max(1, Math.ceil(pace)));
    return Math.min(largest, Math.max(first, Math.ceil(pace * aheadSeconds)));
  }

  #tell(nowMs: number): (readonly [number, number])[] {
    if (!this.#count) return [];
    this.#toldAll = this.#tellsAll;
    if (this.#tellsAll) {
      this.#tellsAll = false;
      this.#dropPieces();
      return this.#count.uses(Date.now()).map(([ageMs, amount]) => [nowMs - ageMs, amount]);
    }
    this.#sent = this.#pieces;
    this.#sentUse = this.#fresh;
    this.#pieces = new Map();
    this.#fresh = 0;
    this.#refunds = 0;
    // Counted from the end of its piece, or it would be forgotten before its time.
    return [...this.#sent].map(([piece, amount]) => [(piece + 1) * pieceMs, amount]);
  }

  #add(atMs: number, amount: number): void {
    this.#addTo(Math.floor(atMs / pieceMs), amount);
  }

  #addTo(piece: number, amount: number): void {
    const before = this.#pieces.get(piece) ?? 0;
    const after = before + amount;
    this.#pieces.set(piece, after);
    this.#fresh += Math.max(0, after) - Math.max(0, before);
    this.#refunds += Math.max(0, -after) - Math.max(0, -before);
    if (this.#pieces.size <= mostPieces) return;
    this.#tellsAll = true;
    this.#dropPieces();
  }

  #dropPieces(): void {
    this.#pieces.clear();
    this.#sent.clear();
    this.#fresh = this.#refunds = this.#sentUse = 0;
  }
}
