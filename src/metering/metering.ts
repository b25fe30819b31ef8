import type pg from 'pg';
import type { BudgetEntity, BudgetLimit, Charge } from '../access/principal.ts';
import { GatewayError } from '../kernel/errors.ts';
import { toDollars } from '../kernel/money.ts';
import type { Deployment } from '../models/deployment.ts';
import { AdmittedCall, type Admission, type Desk } from './admitted-call.ts';
import { lumpSum } from './batch.ts';
import type { Call, CallStart } from './call.ts';
import type { BudgetWatch } from './budget-watch.ts';
import { countedText } from './counter.ts';
import { Counters } from './counters.ts';
import { countedTokens, type Gauge, priceAndWorst, requirePrice } from './headroom.ts';
import { FiledPrices } from './filed-prices.ts';
import { Journal, type JournalOptions, type JournalState, type OpenCall } from './journal.ts';
import { Ledger, type Log } from './ledger.ts';
import { admittanceOf, ObservedLog } from './observed.ts';
import { dropExpired, ensurePartitions } from './partitions.ts';
import { parsePrice, textFor, textWith } from './price.ts';
import { RateLimiter } from './rate-limiter.ts';
import type { Admittance } from './rate-room.ts';
import { costOf } from './rates.ts';
import { type LimitsState, SharedRates, type SharedRatesOptions } from './shared-rates.ts';
import { draftRow, finishRow } from './spend-row.ts';
import { clampTokens, noTokens } from './usage.ts';
import { watchedText } from './watched-text.ts';

export interface MeteringOptions {
  readonly journalPath: string;
  readonly pool: pg.Pool;
  readonly now: () => Date;
  readonly log: Log;
  /** Of prices that go before the catalogue's; followed while it changes, and it need not be there. */
  readonly priceFile?: string | undefined;
  /** Rows of spend_logs are kept for whole months beyond so many days; without a number, for ever. */
  readonly retentionDays?: number | undefined;
  /** Calls that a budget applies to and no price: booked at nothing, or refused. */
  readonly unpriced?: 'allow' | 'refuse';
  /** Whether calls beyond a budget or a limit are let through and marked. */
  readonly observes?: (() => boolean) | undefined;
  readonly redis?: SharedRatesOptions['redis'];
  readonly withoutSharedStore?: SharedRatesOptions['withoutSharedStore'];
  readonly durability?: JournalOptions['durability'];
  /** Calls that may wait for the database before no more are admitted. */
  readonly maxBacklog?: number;
  /** Told of what is spent and refused. */
  readonly watch?: BudgetWatch | undefined;
}

const flushOnDisposeMs = 10_000;
const dayMs = 86_400_000;
/** A changed price holds within a second. */
const pricesEveryMs = 500;

/**
 * Money at run time: what a call may cost is taken from its budgets before it goes out, and what it did cost is booked
 * once, whatever becomes of it.
 *
 * A call is `prepare`d (nothing to wait for when its counters are warm), then `begin` admits it or throws, and the `Call`
 * is settled on every way out. One that is never settled, because the process died, is booked at the next start.
 */
export class Metering {
  readonly #options: MeteringOptions;
  readonly #counters: Counters;
  readonly #rates: SharedRates;
  readonly #limiter: RateLimiter;
  /** What calls are measured by, for those who want to know and take nothing. */
  readonly gauge: Gauge;
  readonly #journal: Journal;
  readonly #ledger: Ledger;
  readonly #desk: Desk;
  readonly #observed: ObservedLog;
  readonly #daily: NodeJS.Timeout;
  readonly #prices: FiledPrices;
  readonly #watch: NodeJS.Timeout;

  private constructor(options: MeteringOptions, prices: FiledPrices) {
    const { pool, now, log, journalPath, durability, maxBacklog } = options;
    this.#options = options;
    this.#observed = new ObservedLog(log);
    this.#journal = Journal.open({
      path: journalPath,
      ...(durability && { durability }),
      ...(maxBacklog !== undefined && { maxRows: maxBacklog }),
      finish: (call) => finishCut(call, now()),
      onSettled: (isKept) => this.#onSettled(isKept),
    });
    this.#counters = new Counters(pool, {
      now,
      daemon: this.#journal.daemon,
      onSoftBudget: (limit, spent) => this.#warn(limit, spent),
      watch: options.watch,
      observes: options.observes,
    });
    const { redis, withoutSharedStore = 'per_instance' } = options;
    this.#rates = new SharedRates({ pool, daemon: this.#journal.daemon, log, redis, withoutSharedStore });
    this.#limiter = new RateLimiter(this.#rates.leases);
    this.gauge = {
      prices: prices.prices,
      counters: this.#counters,
      limiter: this.#limiter,
      refusesUnpriced: options.unpriced === 'refuse',
    };
    this.#ledger = new Ledger({
      journal: this.#journal,
      counters: this.#counters,
      pool,
      log,
      watch: options.watch,
    });
    this.#desk = {
      counters: this.#counters,
      limiter: this.#limiter,
      journal: this.#journal,
      now,
      exchange: (admission, start) => this.#exchange(admission, start),
    };
    this.#prices = prices;
    this.#watch = setInterval(() => void this.#followPrices(), pricesEveryMs).unref();
    this.#daily = setInterval(() => void this.#keepPartitions(), dayMs).unref();
  }

  /** @throws GatewayError `state_dir_in_use` when another process has the journal; `invalid_price_file` */
  static async open(options: MeteringOptions): Promise<Metering> {
    const prices = await FiledPrices.open(options.priceFile, (provider, model) => {
      options.log('warn', `No price is known for ${model} of ${provider}: its calls are booked at 0`, {
        provider,
        model,
      });
    });
    const metering = new Metering(options, prices);
    metering.#resume();
    await metering.#keepPartitions();
    return metering;
  }

  /** Names this daemon to the others: the same for each of its processes. */
  get daemon(): string {
    return this.#journal.daemon;
  }

  /** Spend rows that are settled and not yet in the database. */
  get backlog(): number {
    return this.#journal.backlog;
  }

  get journal(): JournalState {
    return this.#journal.state;
  }

  /** Reads what the budgets of a call need, and takes some of them; undefined when there is nothing to wait for. Await it before `begin`. */
  prepare(charge: Pick<Charge, 'budgets'>): Promise<void> | undefined {
    return this.#counters.prepare(charge);
  }

  /**
   * Waits until this daemon holds enough for a call that `begin` or `redirect` has refused, or until it is certain that
   * there is no more; then try again. Undefined when it was refused for anything else.
   */
  cover(thrown: unknown): Promise<void> | undefined {
    return this.#limiter.cover(thrown) ?? this.#counters.cover(thrown);
  }

  get limits(): LimitsState {
    return this.#rates.state;
  }

  /** What another daemon says of the budgets, and of the limits. */
  heard(payload: string): void {
    this.#rates.heard(payload);
    this.#counters.heard(payload);
  }

  /** What a token costs at a deployment, in and out, in no unit that matters; infinite where none is known. */
  tokenCost(deployment: Deployment): number {
    try {
      const { source, bands } = this.gauge.prices.of(deployment, deployment.upstreamModel, this.#options.now());
      const rates = source === 'unpriced' ? undefined : bands[0]?.rates;
      return rates ? Number(rates.input) + Number(rates.output) : Number.POSITIVE_INFINITY;
    } catch (thrown) {
      // A price that is none refuses every call there.
      if (thrown instanceof GatewayError && thrown.type === 'invalid_price') return Number.POSITIVE_INFINITY;
      throw thrown;
    }
  }

  /** Spares `prepare` its statement: what an entity has spent, as the key look-up found it. */
  seed(entity: BudgetEntity, id: string, spent: bigint): void {
    this.#counters.seed(entity, id, spent);
  }

  /** To be called when somebody else changed what an entity has spent. */
  refresh(entity: BudgetEntity, id: string): void {
    this.#counters.refresh(entity, id);
  }

  /**
   * Admits a call: its worst case is reserved in every budget, it is counted in every limit, and it is on its way into the
   * journal; or none of this is. It goes on when it is there (`Call.kept`).
   *
   * @throws GatewayError `throttling_error`; `budget_exceeded`; `budget_unavailable`, which `cover` may change;
   *   `ledger_unavailable` when it could not be booked;
   *   `invalid_price`; `unsupported_service_tier`; `unpriced_model`
   */
  begin(start: CallStart): Call {
    const admission = this.#admit(start, (draft, price) =>
      this.#journal.start(draft, price, clampTokens(start.promptTokens)),
    );
    return new AdmittedCall(this.#desk, admission);
  }

  /** @param before what the attempt before has taken of the limits */
  #admit(start: CallStart, keep: (draft: string, price: string) => number, before?: Admittance): Admission {
    const { charge } = start;
    const { observes, watch } = this.#options;
    const rates = start.deploymentLimit ? [...charge.rates, start.deploymentLimit] : charge.rates;
    const { standard, price, amount, most } = priceAndWorst(this.gauge, start);
    requirePrice(this.gauge, standard, start);
    const nowMs = start.startedAt.getTime();
    const { admittance, observed } = admittanceOf(
      () => this.#limiter.find(rates, { tokens: countedTokens(start), nowMs, before }),
      observes?.() === true,
    );
    const reservation = this.#counters.reserve(charge.budgets, amount, most);
    try {
      const wouldRefuse = observed ?? reservation.observed;
      const watched = watch?.isOn ? watchedText(reservation) : '';
      const counted = countedText(reservation.counters);
      const text = start.batch ? textWith(price, lumpSum(amount)) : textFor(price, start.units);
      const seq = keep(draftRow(start, { counted, watched, observed: wouldRefuse }), text);
      if (admittance) this.#limiter.take(admittance, before);
      // It is let through beside its limits, and gives back what the attempt before had taken of them.
      else if (before) this.#limiter.settle(before, 0, { isCounted: false });
      if (wouldRefuse) this.#observed.add(wouldRefuse);
      const tier = start.batch && price === standard.batch ? 'batch' : start.serviceTier;
      return { price, standard, tier, reservation, worst: amount, admittance, seq };
    } catch (error) {
      this.#counters.settle(reservation, 0n);
      throw error;
    }
  }

  /** Synchronous: between giving back and taking nobody else comes. */
  #exchange(admission: Admission, start: CallStart): Admission {
    const { reservation, admittance, seq } = admission;
    this.#counters.settle(reservation, 0n);
    const restart = (draft: string, price: string): number => {
      this.#journal.restart(seq, draft, { price, promptTokens: clampTokens(start.promptTokens) });
      return seq;
    };
    try {
      return this.#admit(start, restart, admittance);
    } catch (error) {
      this.#counters.retake(reservation);
      throw error;
    }
  }

  /** Writes what is settled to the database; true when nothing is left. The journal keeps what is. */
  flush(options: { readonly deadlineMs: number }): Promise<boolean> {
    return this.#ledger.flush(options);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#daily);
    clearInterval(this.#watch);
    const isEmpty = await this.#ledger.flush({ deadlineMs: flushOnDisposeMs });
    if (!isEmpty) {
      this.#options.log('warn', 'The database did not take all spend; the rest is booked at the next start', {
        backlog: this.backlog,
      });
    }
    await this.#ledger.close();
    await this.#counters.close({ isEmpty: this.backlog === 0 }).catch((error: unknown) => {
      this.#options.log('warn', 'What is held of the budgets is free again in a minute: it could not be given back', {
        error,
      });
    });
    await this.#rates.leases.close();
    this.#journal.close();
  }

  /** What the last process left behind counts against the budgets from the first call on, and goes to the database now. */
  #resume(): void {
    for (const { counted, amount } of this.#journal.unflushed()) this.#counters.addUnflushed(counted, amount);
    if (this.#options.watch) this.#counters.remember(this.#journal.budgets());
    if (this.backlog > 0) this.#ledger.wake();
  }

  async #followPrices(): Promise<void> {
    const { log } = this.#options;
    try {
      const version = await this.#prices.refresh();
      if (version !== undefined) log('info', 'Other prices are used from now on', { price_file: version });
    } catch (error) {
      log('error', 'The price file cannot be used; the prices of before are kept', { error });
    }
  }

  #warn({ entity, label, soft, duration }: BudgetLimit, spent: bigint): void {
    this.#options.log('warn', `The soft budget of ${entity} ${label} is passed`, {
      entity,
      label,
      spend: toDollars(spent),
      softBudget: toDollars(soft ?? 0n),
      ...(duration !== undefined && { budgetDuration: duration }),
    });
  }

  #onSettled(isKept: boolean): void {
    this.#ledger.wake();
    if (!isKept) {
      this.#options.log('error', 'The spend journal cannot be written; no call is admitted until it can', {
        journal: this.#options.journalPath,
      });
    }
  }

  /** Failing is not fatal: the ledger creates a missing partition when it meets one, and tomorrow is another try. */
  async #keepPartitions(): Promise<void> {
    const { pool, now, log, retentionDays } = this.#options;
    try {
      await ensurePartitions(pool, now());
      if (retentionDays === undefined) return;
      const dropped = await dropExpired(pool, retentionDays);
      if (dropped.length > 0) log('info', 'Spend logs past their retention were dropped', { dropped });
    } catch (error) {
      log('warn', 'The partitions of the spend log could not be looked after', { error });
    }
  }
}

/** A call cut by a crash costs what had been delivered by its last checkpoint, at the price it was admitted at. */
function finishCut({ price, promptTokens, completionTokens }: OpenCall, at: Date): string {
  const { bands, ...origin } = parsePrice(price);
  const usage = { ...noTokens, promptTokens, completionTokens, estimated: true };
  return finishRow({
    at,
    outcome: { status: 'interrupted', httpStatus: 500, error: 'The gateway stopped before the call ended' },
    usage,
    cost: costOf(bands, usage),
    price: origin,
  });
}
