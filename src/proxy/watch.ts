import { GatewayError } from '../kernel/errors.ts';
import type { Exchange } from './exchange.ts';
import type { ProxyLimits } from './limits.ts';
import { tooSlow } from './read-body.ts';

const tooLong = (): GatewayError =>
  new GatewayError('upstreamTimeout', 'upstream_timeout', 'The call took longer than any call may');

/** All exchanges under way, and the one clock that looks after their deadlines, so that none of them needs a timer. */
export class Watch {
  readonly #exchanges = new Set<Exchange>();
  readonly #timer: NodeJS.Timeout;
  #onEmpty: (() => void) | undefined;

  constructor(limits: ProxyLimits) {
    const shortest = Math.min(limits.bodyMs, limits.totalMs, limits.commentMs);
    this.#timer = setInterval(() => this.#tick(performance.now()), Math.min(1_000, Math.ceil(shortest / 4))).unref();
  }

  get size(): number {
    return this.#exchanges.size;
  }

  add(exchange: Exchange): void {
    this.#exchanges.add(exchange);
  }

  delete(exchange: Exchange): void {
    this.#exchanges.delete(exchange);
    if (this.#exchanges.size === 0) this.#onEmpty?.();
  }

  /** Whether all were over before the deadline. */
  async empty(deadlineMs: number): Promise<boolean> {
    if (this.#exchanges.size === 0) return true;
    const { promise, resolve } = Promise.withResolvers<boolean>();
    const timer = setTimeout(() => resolve(false), deadlineMs);
    this.#onEmpty = () => resolve(true);
    const emptied = await promise;
    clearTimeout(timer);
    this.#onEmpty = undefined;
    return emptied;
  }

  forEach(visit: (exchange: Exchange) => void): void {
    for (const exchange of this.#exchanges) visit(exchange);
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }

  #tick(nowMs: number): void {
    for (const exchange of this.#exchanges) {
      const { response, startedMs } = exchange;
      if (exchange.stopped || response.writableEnded) {
        this.#endTaking(exchange, nowMs);
        continue;
      }
      if (exchange.bodyDeadlineMs > 0 && nowMs > exchange.bodyDeadlineMs) exchange.stop(tooSlow());
      else if (nowMs - startedMs > exchange.context.limits.totalMs) exchange.stop(tooLong());
      else exchange.relay?.tick(nowMs);
    }
  }

  /** Whoever takes an answer a byte at a time holds its memory, but not for longer than any call may take. */
  #endTaking({ response, startedMs, stopped, context }: Exchange, nowMs: number): void {
    const { totalMs, stalledClientMs } = context.limits;
    // What is ended at that very time still has an error to say.
    const mostMs = stopped ? totalMs + stalledClientMs : totalMs;
    if (nowMs - startedMs > mostMs && response.writableEnded && !response.writableFinished) response.destroy();
  }
}
