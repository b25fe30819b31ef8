import { setTimeout as wait } from 'node:timers/promises';
import { createClient } from '@keyv/redis';
import type { Log } from '../kernel/log.ts';

export type RedisClient = ReturnType<typeof clientOf>;

const clientOf = (url: string) =>
  createClient({
    url,
    disableOfflineQueue: true,
    // What is lost is made anew by the link, which can tell when it is of use again.
    socket: { connectTimeout: TCP_MS, reconnectStrategy: false },
  });

/** TCP's part of connecting, and all of it: one that stands still is connected to, and never says who it is. */
const TCP_MS = 800;
const CONNECT_MS = 1_000;

/** Slower than this and asking PostgreSQL is quicker: it counts as away. */
export const REDIS_DEADLINE_MS = 50;

/** How often each connection is asked for a sign of life, and how long that may take. */
const BEAT_MS = 250;
const SILENCE_MS = 500;

const LONGEST_PAUSE_MS = 1_000;
const FIRST_PAUSE_MS = 50;

/** How long the start of a daemon waits for the first connection: nothing depends on it. */
const START_MS = 300;

export interface RedisChannel {
  readonly name: string;
  /** Whoever may write to Redis may have sent it. */
  readonly onMessage: (text: string) => void;
}

export interface RedisLinkOptions {
  readonly url: string;
  readonly log: Log;
  /** What is listened to, if anything. */
  readonly channel?: RedisChannel;
  /** What becomes of what Redis is used for while it is away. For the log. */
  readonly meanwhile: string;
  readonly onUp: (client: RedisClient) => void;
  readonly onDown: () => void;
}

/**
 * A connection to Redis, and another that listens where there is something to listen to; they are up or away together. They are connected and watched here,
 * in nobody's request: while Redis is refused, stands still, is slow or is lost behind a router it is away, and costs
 * nothing. What `@keyv/redis` does by itself is to connect in the request that comes next.
 */
export class RedisLink {
  readonly #options: RedisLinkOptions;
  readonly #closing = new AbortController();
  #clients: readonly RedisClient[] = [];
  #isUp = false;
  #isTold = false;
  #kept: Promise<void> | undefined;
  /** Rejects when the connections of now are to be given up. */
  #end = Promise.withResolvers<never>();

  constructor(options: RedisLinkOptions) {
    this.#options = options;
  }

  /** Returns when Redis is up, or has failed once, or takes its time. */
  async start(): Promise<void> {
    const tried = Promise.withResolvers<void>();
    this.#kept = this.#keep(tried.resolve);
    await Promise.race([tried.promise, wait(START_MS, undefined, { ref: false })]);
  }

  /** Gives the connections up, as a missed sign of life does. They are made anew, and used once they are quick again. */
  drop(cause: unknown): void {
    this.#end.reject(cause);
  }

  /** To every daemon that listens, this one included; nobody when Redis is away. */
  publish(text: string): void {
    const { channel } = this.#options;
    if (!this.#isUp || !channel) return;
    // PostgreSQL announces the same: what is lost here arrives there.
    this.#clients[0]?.publish(channel.name, text).catch((cause: unknown) => this.drop(cause));
  }

  async #keep(tried: () => void): Promise<void> {
    let failures = 0;
    while (!this.#closing.signal.aborted) {
      this.#end = Promise.withResolvers();
      this.#end.promise.catch(() => undefined);
      try {
        await this.#connect();
        failures = 0;
        tried();
        for (;;) {
          await Promise.race([wait(BEAT_MS, undefined, { ref: false }), this.#end.promise]);
          await this.#beat(SILENCE_MS);
        }
      } catch (cause) {
        this.#lost(cause);
      }
      tried();
      const pauseMs = Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** failures++);
      await wait(pauseMs, undefined, { signal: this.#closing.signal, ref: false }).catch(() => undefined);
    }
  }

  async #connect(): Promise<void> {
    const { url, channel, onUp, log } = this.#options;
    const client = clientOf(url);
    const listening = channel && client.duplicate();
    this.#clients = listening ? [client, listening] : [client];
    const end = this.#end;
    for (const each of this.#clients) each.on('error', (cause) => end.reject(cause));
    const connected = Promise.all(this.#clients.map(async (each) => each.connect()));
    await this.#within(CONNECT_MS, connected);
    if (listening) await this.#within(CONNECT_MS, listening.subscribe(channel.name, channel.onMessage));
    await this.#beat(REDIS_DEADLINE_MS);
    this.#isUp = true;
    onUp(client);
    if (this.#isTold) log('info', 'Redis answers again');
    this.#isTold = false;
  }

  #beat(ms: number): Promise<unknown> {
    return this.#within(ms, Promise.all(this.#clients.map(async (each) => each.ping())));
  }

  async #within<T>(ms: number, promise: Promise<T>): Promise<T> {
    const late = Promise.withResolvers<never>();
    // Timers run before sockets are read: after a pause of our own the answer may lie there already.
    const timer = setTimeout(() => setImmediate(() => late.reject(new Error(`Redis took longer than ${ms} ms`))), ms);
    return Promise.race([promise, late.promise, this.#end.promise]).finally(() => clearTimeout(timer));
  }

  #lost(cause: unknown): void {
    const { onDown, log, meanwhile } = this.#options;
    this.#isUp = false;
    onDown();
    for (const each of this.#clients) if (each.isOpen) each.destroy();
    this.#clients = [];
    if (this.#isTold || this.#closing.signal.aborted) return;
    this.#isTold = true;
    log('warn', `Redis does not answer; ${meanwhile}`, { cause: String(cause) });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort();
    this.drop(new Error('Closed'));
    await this.#kept;
  }
}
