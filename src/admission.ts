import { GatewayError } from './kernel/errors.ts';
import { isReading } from './kernel/operation.ts';

/** How long an operation waits for its turn at most, and how many of them can: beyond, whoever asks is told to come back. */
const WAIT_MS = 15_000;
const WAITING_AT_MOST = 1_000;

const busy = (message: string): GatewayError =>
  new GatewayError('unavailable', 'too_many_operations', message, {
    hint: 'Nothing was done. Send fewer at a time, or the same again after the seconds of Retry-After.',
    headers: { 'retry-after': '2' },
  });

/** A burst of one lane does not hold up the other. */
class Lane {
  readonly #atOnce: number;
  readonly #waiting = new Set<() => void>();
  #underWay = 0;

  constructor(atOnce: number) {
    this.#atOnce = atOnce;
  }

  /**
   * Does it when it is its turn, in the order in which was asked.
   *
   * @throws GatewayError 503 when too many wait already, or its turn does not come in time
   */
  async run<T>(operation: () => Promise<T>): Promise<T> {
    if (this.#underWay < this.#atOnce) this.#underWay++;
    else await this.#turn();
    try {
      return await operation();
    } finally {
      this.#next();
    }
  }

  #turn(): Promise<void> {
    if (this.#waiting.size >= WAITING_AT_MOST) throw busy(`${WAITING_AT_MOST} operations wait for their turn already`);
    return new Promise((resolve, reject) => {
      const begin = () => {
        clearTimeout(timer);
        resolve();
      };
      const timer = setTimeout(() => {
        this.#waiting.delete(begin);
        reject(busy(`The operation did not get its turn within ${WAIT_MS / 1_000} seconds`));
      }, WAIT_MS);
      this.#waiting.add(begin);
    });
  }

  /** The place goes to whoever waits longest, without becoming free in between. */
  #next(): void {
    const [begin] = this.#waiting;
    if (!begin) {
      this.#underWay--;
      return;
    }
    this.#waiting.delete(begin);
    begin();
  }
}

/**
 * Lets so many operations of the admin side be under way as leave connections for others: a burst of them would
 * otherwise take all of the pool, and calls of models that look up a key, and the ledger, would be refused with it.
 * Those that change something have a lane of their own, because ten reports over a year take seconds.
 */
export class Admission {
  readonly #reading: Lane;
  readonly #changing: Lane;

  /** @param connections of the pool, of which operations get half */
  constructor(connections: number) {
    const atOnce = Math.max(1, Math.floor(connections / 4));
    this.#reading = new Lane(atOnce);
    this.#changing = new Lane(atOnce);
  }

  /** @throws GatewayError 503 when too many wait already, or its turn does not come in time */
  run<T>(operation: Parameters<typeof isReading>[0], action: () => Promise<T>): Promise<T> {
    return (isReading(operation) ? this.#reading : this.#changing).run(action);
  }
}
