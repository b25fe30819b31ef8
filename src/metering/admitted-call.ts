import type { Call, CallOutcome, CallStart, Settlement } from './call.ts';
import type { Counters, Reservation } from './counters.ts';
import type { Journal } from './journal.ts';
import type { Price } from './price.ts';
import type { RateLimiter } from './rate-limiter.ts';
import type { Admittance, Allowance } from './rate-room.ts';
import { costOf } from './rates.ts';
import { finishRow } from './spend-row.ts';
import { unitNames } from './units.ts';
import { clampTokens, clampUsage, noTokens } from './usage.ts';

const checkpointEveryMs = 1_000;

const notYetKnown = { ...noTokens, estimated: true };

export interface Admission {
  /** Of the service tier that was asked for. */
  readonly price: Price;
  /** Of the model, with the tiers there are. */
  readonly standard: Price;
  /** The service tier that was asked for. */
  readonly tier: string | undefined;
  readonly reservation: Reservation;
  /** What it may cost, in nano-dollars: booked where nobody says what it did cost. */
  readonly worst: bigint;
  /** Absent where nothing limits how much is asked for. */
  readonly admittance: Admittance | undefined;
  /** The call's row in the journal. */
  readonly seq: number;
}

/** What settling a call needs of its surroundings; one for all calls. */
export interface Desk {
  readonly counters: Counters;
  readonly limiter: RateLimiter;
  readonly journal: Journal;
  readonly now: () => Date;
  /** Exchanges an admission for that of another attempt, or throws and changes nothing. */
  readonly exchange: (admission: Admission, start: CallStart) => Admission;
}

export class AdmittedCall implements Call {
  readonly #desk: Desk;
  #admission: Admission;
  #checkpointAtMs = performance.now() + checkpointEveryMs;
  #settlement: Settlement | undefined;
  /** Of what the journal was told last. */
  #written: Promise<Error | undefined> | undefined;

  constructor(desk: Desk, admission: Admission) {
    this.#desk = desk;
    this.#admission = admission;
    this.#written = desk.journal.written;
  }

  get allowance(): Allowance | undefined {
    return this.#admission.admittance?.allowance;
  }

  get reserved(): bigint {
    return this.#settlement ? 0n : this.#admission.reservation.amount;
  }

  checkpoint(completionTokens: number): void {
    const nowMs = performance.now();
    if (nowMs < this.#checkpointAtMs || this.#settlement) return;
    this.#checkpointAtMs = nowMs + checkpointEveryMs;
    this.#desk.journal.checkpoint(this.#admission.seq, clampTokens(completionTokens));
  }

  kept(): Promise<void> | undefined {
    return this.#written && this.#keptWith(this.#written);
  }

  async #keptWith(written: Promise<Error | undefined>): Promise<void> {
    const failure = await written;
    // What was settled is kept in memory where the disk did not take it.
    if (!failure || this.#settlement) return;
    const { counters, limiter } = this.#desk;
    const { reservation, admittance, price } = this.#admission;
    this.#settlement = { cost: 0n, priceSource: price.source, keySpend: counters.settle(reservation, 0n) };
    if (admittance) limiter.settle(admittance, 0, { isCounted: false });
    throw failure;
  }

  redirect(start: CallStart): void {
    if (this.#settlement) throw new Error('A call that is settled has no further attempt');
    this.#admission = this.#desk.exchange(this.#admission, start);
  }

  settle(outcome: CallOutcome): Settlement {
    if (this.#settlement) return this.#settlement;
    const { counters, limiter, journal, now } = this.#desk;
    const { reservation, worst, admittance, seq, tier } = this.#admission;
    const price = this.#priceFor(outcome.serviceTier);

    const usage = outcome.usage && clampUsage(outcome.usage);
    const isCached = outcome.isCached === true;
    const counted = usage && !isCached ? costOf(price.bands, usage) : 0n;
    // An answer that says nothing of what the price goes by, such as an image without its tokens, is not free for it.
    const isUncounted = !isCached && counted === 0n && unitNames.some((name) => (usage?.units?.[name] ?? 0) > 0);
    const isProvisional = outcome.isProvisional === true;
    const cost = isUncounted || isProvisional ? worst : counted;
    const rest = finishRow({
      at: now(),
      outcome,
      usage: isProvisional ? notYetKnown : usage && isUncounted && cost > 0n ? { ...usage, estimated: true } : usage,
      cost,
      price,
      serviceTier: outcome.serviceTier ?? tier,
    });
    this.#settlement = { cost, priceSource: price.source, keySpend: counters.settle(reservation, cost) };
    const used = usage && !isCached ? usage.promptTokens + usage.completionTokens : 0;
    if (admittance) limiter.settle(admittance, used, { isCounted: outcome.goesOn !== true });
    journal.settle(seq, rest);
    this.#written = journal.written;
    return this.#settlement;
  }

  /** The tier that served the call is not always the one asked for: a provider falls back to its default when it is busy. */
  #priceFor(servedBy: string | undefined): Price {
    const { price, standard } = this.#admission;
    if (servedBy === 'default') return standard;
    return (servedBy === undefined ? undefined : standard.tiers?.get(servedBy)) ?? price;
  }
}
