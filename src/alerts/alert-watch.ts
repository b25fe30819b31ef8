import type pg from 'pg';
import type { BudgetWatch, Watched } from '../metering/budget-watch.ts';
import type { Log } from '../kernel/log.ts';
import { type Crossing, noteAlerts } from './alert.queries.ts';
import type { AlertSettings } from './alert-settings.ts';
import { markName, reachedByRefusal, reachedBySpend, type Reached } from './marks.ts';

export interface WatchParts {
  readonly pool: pg.Pool;
  readonly log: Log;
  readonly settings: () => AlertSettings;
  readonly isEnforced: () => boolean;
  /** There is something to deliver. */
  readonly onNoted: () => void;
}

/** Refusals whose alert is still to be noted. */
const mostWaiting = 1_000;
const gatherMs = 50;

/** Notes in the database what the budgets have reached. What was noted before is not noted again, whoever did it. */
export class AlertWatch implements BudgetWatch {
  readonly #parts: WatchParts;
  readonly #waiting: Crossing[] = [];
  #round: Promise<void> | undefined;

  constructor(parts: WatchParts) {
    this.#parts = parts;
  }

  get isOn(): boolean {
    return this.#parts.settings().webhooks.length > 0;
  }

  async booked(client: pg.ClientBase, watched: readonly Watched[]): Promise<() => void> {
    const crossings = watched.flatMap((each) =>
      this.#new(each, reachedBySpend(each, this.#parts.settings().thresholds)),
    );
    if (crossings.length === 0) return () => undefined;
    const { settings, log, onNoted } = this.#parts;
    // An alert that cannot be noted must not keep money from being booked; it is noted with the next call.
    await client.query('savepoint alerts');
    try {
      await noteAlerts(client, crossings, settings().webhooks);
      await client.query('release savepoint alerts');
    } catch (error) {
      await client.query('rollback to savepoint alerts');
      log('error', 'What a budget has reached could not be noted', { error });
      return () => undefined;
    }
    return () => {
      remember(crossings);
      onNoted();
    };
  }

  refused(watched: Watched): void {
    const crossings = this.#new(watched, reachedByRefusal(watched));
    if (crossings.length === 0 || this.#waiting.length >= mostWaiting) return;
    // At once, so that the next refusal finds it; what cannot be noted is forgotten again.
    remember(crossings);
    this.#waiting.push(...crossings);
    this.#round ??= this.#noteWaiting();
  }

  /** Waits for what is on its way to the database. */
  async close(): Promise<void> {
    await this.#round;
  }

  async #noteWaiting(): Promise<void> {
    const { pool, settings, log, onNoted } = this.#parts;
    while (this.#waiting.length > 0) {
      await new Promise((resolve) => setTimeout(resolve, gatherMs));
      const crossings = this.#waiting.splice(0);
      try {
        await noteAlerts(pool, crossings, settings().webhooks);
        onNoted();
      } catch (error) {
        for (const { watched, reached } of crossings) watched.counter.told?.delete(markName(reached));
        log('warn', 'That a budget refuses calls could not be noted; it is with the next refusal', { error });
      }
    }
    this.#round = undefined;
  }

  /** What was not told yet, and somebody wants to know. */
  #new(watched: Watched, marks: readonly Reached[]): Crossing[] {
    const { settings, isEnforced } = this.#parts;
    const { told } = watched.counter;
    const { webhooks } = settings();
    return marks
      .filter((reached) => told?.has(markName(reached)) !== true)
      .filter(({ event }) => webhooks.some(({ events }) => events.includes(event)))
      .map((reached) => ({ watched, reached, isEnforced: isEnforced() }));
  }
}

function remember(crossings: readonly Crossing[]): void {
  for (const { watched, reached } of crossings) (watched.counter.told ??= new Set()).add(markName(reached));
}
