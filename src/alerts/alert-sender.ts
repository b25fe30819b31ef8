import { clearAlerts } from './alert.queries.ts';
import { AlertLane, type SenderParts } from './alert-lane.ts';

const clearEveryMs = 3_600_000;

/** Delivers what is noted in the database, each alert to each of its webhooks at least once. */
export class AlertSender implements AsyncDisposable {
  readonly #parts: SenderParts;
  readonly #lanes = new Map<string, AlertLane>();
  readonly #clearing: NodeJS.Timeout;

  constructor(parts: SenderParts) {
    this.#parts = parts;
    this.#clearing = setInterval(() => void this.#clear(), clearEveryMs).unref();
    this.wake();
  }

  /** Something was noted, or the settings are others. */
  wake(): void {
    for (const { name } of this.#parts.settings().webhooks) {
      let lane = this.#lanes.get(name);
      if (!lane) this.#lanes.set(name, (lane = new AlertLane(name, this.#parts)));
      lane.wake();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#clearing);
    await Promise.all([...this.#lanes.values()].map((lane) => lane[Symbol.asyncDispose]()));
  }

  async #clear(): Promise<void> {
    const { pool, log, settings } = this.#parts;
    try {
      const failed = await clearAlerts(pool, settings().giveUpMs);
      if (failed > 0) log('error', 'Alerts were given up that no daemon could deliver', { alerts: failed });
    } catch (error) {
      log('warn', 'Old alerts could not be cleared away', { error });
    }
  }
}
