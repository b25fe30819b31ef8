import type { Exchange } from './exchange.ts';

/** How long it works without letting anybody else have a turn. */
const sliceMs = 4;

/**
 * Hangs up on the upstreams of clients that have left. To end one call, its booking included, takes some hundred
 * microseconds; when a proxy in front of thousands of streams is restarted, all of them leave in the same turn of the event
 * loop, and nobody else would be answered until the last of them is ended.
 */
export class Departures {
  #left: Exchange[] = [];
  #next = 0;
  #isScheduled = false;

  /** @param exchange of which it is known already that its client has left */
  add(exchange: Exchange): void {
    this.#left.push(exchange);
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    setImmediate(this.#work);
  }

  /** Ends all of them now. */
  flush(): void {
    this.#workUntil(Number.POSITIVE_INFINITY);
  }

  readonly #work = (): void => {
    this.#workUntil(performance.now() + sliceMs);
    this.#isScheduled = this.#left.length > 0;
    if (this.#isScheduled) setImmediate(this.#work);
  };

  #workUntil(endMs: number): void {
    while (this.#next < this.#left.length) {
      this.#left[this.#next++]?.hangUp();
      if (performance.now() >= endMs) return;
    }
    this.#left = [];
    this.#next = 0;
  }
}
