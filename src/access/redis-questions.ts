import KeyvRedis from '@keyv/redis';
import { Keyv } from 'keyv';
import type { Log } from '../kernel/log.ts';
import { REDIS_DEADLINE_MS, type RedisClient } from './redis-link.ts';

/** After so many questions in a row that took too long Redis is away, until a connection to it is quick again. */
const LATE_AT_MOST = 5;

/** The same is told of once in so long: whoever can write one strange entry can write many. */
const APART_MS = 60_000;

/** Questions to Redis, each with a deadline, and none while it is away. */
export class RedisQuestions<Connection = Keyv<string>> {
  readonly #drop: (cause: Error) => void;
  #connection: Connection | undefined;
  readonly #deadlineMs: number;
  #late = 0;

  /** @param drop gives the connection up */
  constructor(drop: (cause: Error) => void, deadlineMs = REDIS_DEADLINE_MS) {
    this.#drop = drop;
    this.#deadlineMs = deadlineMs;
  }

  begin(connection: Connection): void {
    this.#late = 0;
    this.#connection = connection;
  }

  end(): void {
    this.#connection = undefined;
  }

  /** Undefined when Redis is away, late, or answers with an error: it may be full, or hold another type. */
  async ask<T>(
    action: (connection: Connection) => Promise<T>,
    failed: (cause: unknown) => undefined,
  ): Promise<T | undefined> {
    const current = this.#connection;
    if (!current) return undefined;
    let timer: NodeJS.Timeout | undefined;
    const tooLate = new Error(`Redis took longer than ${this.#deadlineMs} ms, ${LATE_AT_MOST} times in a row`);
    try {
      const deadline = new Promise<never>((_, reject) => {
        // Timers run before sockets are read: after a pause of our own the answer may lie there already.
        timer = setTimeout(() => setImmediate(reject, tooLate), this.#deadlineMs);
      });
      const result = await Promise.race([action(current), deadline]);
      this.#late = 0;
      return result;
    } catch (cause) {
      if (cause !== tooLate) return current === this.#connection ? failed(cause) : undefined;
      if (current === this.#connection && ++this.#late >= LATE_AT_MOST) this.#drop(tooLate);
      return undefined;
    } finally {
      clearTimeout(timer);
    }
  }

  /** The store itself, for what may take its time. */
  get store(): Connection | undefined {
    return this.#connection;
  }
}

export function keyvOn(client: RedisClient, { namespace, ttl }: { namespace: string; ttl?: number }): Keyv<string> {
  const store = new KeyvRedis<string>(client, { namespace, keyPrefixSeparator: ':', throwOnErrors: true });
  const keyv = new Keyv<string>({
    store,
    namespace,
    useKeyPrefix: false,
    throwOnErrors: true,
    ...(ttl !== undefined && { ttl }),
  });
  // Each failure is thrown too; one of the connection the link hears of.
  store.on('error', () => undefined);
  keyv.on('error', () => undefined);
  return keyv;
}

/** Of each caller's lines one, and the next a minute later. */
export function aMinuteApart(log: Log): (line: string) => void {
  let toldAt = -APART_MS;
  return (line) => {
    if (performance.now() - toldAt < APART_MS) return;
    toldAt = performance.now();
    log('warn', line);
  };
}
