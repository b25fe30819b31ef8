import type { Log } from '../kernel/log.ts';

/** Lines a second at most: whoever sends forged tokens must not write the operator's log full. */
const LINES_A_SECOND = 5;

/** Says in the log why tokens were refused; the rest of a flood is counted and told of with the next line. */
export class RefusalLog {
  readonly #log: Log;
  #second = 0;
  #lines = 0;
  #left = 0;

  constructor(log: Log) {
    this.#log = log;
  }

  add(reason: string): void {
    const second = Math.floor(performance.now() / 1_000);
    if (second !== this.#second) {
      this.#second = second;
      this.#lines = 0;
    }
    if (this.#lines >= LINES_A_SECOND) {
      this.#left++;
      return;
    }
    this.#lines++;
    this.#log('info', 'A JWT was refused', { reason, ...(this.#left > 0 && { not_logged: this.#left }) });
    this.#left = 0;
  }
}
