import type pg from 'pg';
import type { Post } from '../callbacks/post.ts';
import type { Log } from '../kernel/log.ts';
import type { AlertSettings } from './alert-settings.ts';
import { claimDue, type Delivered, type DueAlert, nextDue, noteDelivery, releaseClaims } from './alert.queries.ts';
import { alertPayload } from './alert-payload.ts';
import { postAlert } from './alert-post.ts';

export interface SenderParts {
  readonly pool: pg.Pool;
  /** The same for each process of this daemon. */
  readonly daemon: string;
  readonly post: Post;
  readonly log: Log;
  readonly settings: () => AlertSettings;
}

const mostAtOnce = 4;
/** Longer than any attempt: what is claimed by a daemon that has died is due again after it. */
const holdMs = 30_000;
/** What other daemons have left is looked for. */
const lookEveryMs = 10_000;
const firstPauseMs = 500;
const longestPauseMs = 3_600_000;

/** Delivers to one webhook: one that does not answer holds up no other. */
export class AlertLane implements AsyncDisposable {
  readonly #webhook: string;
  readonly #parts: SenderParts;
  readonly #abort = new AbortController();
  #timer: NodeJS.Timeout | undefined;
  #round: Promise<void> | undefined;
  #isWoken = false;
  #isReleased = false;

  constructor(webhook: string, parts: SenderParts) {
    this.#webhook = webhook;
    this.#parts = parts;
  }

  /** Something was noted. */
  wake(): void {
    this.#isWoken = true;
    this.#round ??= this.#run().finally(() => {
      this.#round = undefined;
      if (this.#isWoken) this.wake();
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearTimeout(this.#timer);
    this.#abort.abort();
    await this.#round;
    clearTimeout(this.#timer);
  }

  async #run(): Promise<void> {
    clearTimeout(this.#timer);
    this.#isWoken = false;
    const { pool, daemon, log, settings } = this.#parts;
    const webhook = this.#webhook;
    const isThere = settings().webhooks.some(({ name }) => name === webhook);
    if (!isThere || this.#abort.signal.aborted) return;
    let again: number | undefined;
    try {
      if (!this.#isReleased) await releaseClaims(pool, daemon, webhook);
      this.#isReleased = true;
      for (;;) {
        const due = await claimDue(pool, { webhook, daemon, holdMs, most: mostAtOnce });
        if (due.length === 0) break;
        await Promise.all(due.map((alert) => this.#deliver(alert)));
        if (this.#abort.signal.aborted) return;
      }
      again = await nextDue(pool, webhook);
    } catch (error) {
      log('warn', 'Alerts could not be read from the database; they are sent when it can be', { error });
    }
    if (this.#abort.signal.aborted) return;
    this.#timer = setTimeout(() => this.wake(), Math.min(lookEveryMs, Math.max(50, again ?? lookEveryMs))).unref();
  }

  async #deliver(alert: DueAlert): Promise<void> {
    const { pool, post, log, settings } = this.#parts;
    const { webhooks, timeoutMs, giveUpMs } = settings();
    const webhook = webhooks.find(({ name }) => name === alert.webhook);
    if (!webhook) return;
    const id = alert.alert_id;
    const { signal } = this.#abort;
    const attempted = await postAlert(post, webhook, { id, body: alertPayload(alert), timeoutMs, signal });
    const { status, error } = attempted;
    const noted: Delivered = {
      alertId: id,
      webhook: webhook.name,
      status,
      error,
      ...this.#nextOf(alert, attempted, giveUpMs),
    };
    if (noted.state === 'failed') {
      log('error', 'An alert could not be delivered and is given up', {
        alert: id,
        webhook: webhook.name,
        reason: error,
      });
    } else if (noted.state === 'pending' && alert.attempts === 1 && !signal.aborted) {
      log('warn', 'An alert could not be delivered yet', { alert: id, webhook: webhook.name, reason: error });
    }
    // Should this fail, the alert is due again when its hold is over, under the same id.
    await noteDelivery(pool, noted);
  }

  #nextOf(
    { attempts, created_ms: createdMs }: DueAlert,
    { outcome, afterMs = 0 }: Awaited<ReturnType<typeof postAlert>>,
    giveUpMs: number,
  ): Pick<Delivered, 'state' | 'againInMs'> {
    if (outcome === 'sent') return { state: 'sent' };
    if (outcome === 'refused') return { state: 'failed' };
    // Cut off because the daemon ends: no attempt of the receiver's doing.
    if (this.#abort.signal.aborted) return { state: 'pending', againInMs: 0 };
    const pauseMs = Math.min(firstPauseMs * 2 ** Math.min(attempts - 1, 30), longestPauseMs);
    // Jitter: what has failed together does not come again together.
    const againInMs = Math.max(pauseMs * (0.5 + Math.random() / 2), Math.min(afterMs, longestPauseMs));
    const isOver = Date.now() + againInMs > createdMs + giveUpMs;
    return isOver ? { state: 'failed' } : { state: 'pending', againInMs };
  }
}
