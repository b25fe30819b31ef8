import { createHmac, randomUUID } from 'node:crypto';
import { z } from 'zod';
import type { RedisClient } from '../access/redis-link.ts';
import { rateScript } from './rate-script.ts';
import { type RateGranted, rateLifeMs, type RateStore, type RateWanted } from './rate-store.ts';
import { StoreClock } from './store-clock.ts';

/** Asks Redis within its deadline; undefined when it is away, late, or answers with an error. */
export type AskRedis = <T>(action: (client: RedisClient) => Promise<T>) => Promise<T | undefined>;

/** The connection to Redis. */
export interface RedisLine {
  readonly ask: AskRedis;
  isUp(): boolean;
}

export interface RedisRateStoreOptions extends RedisLine {
  /** Known to the daemons of one database alone: limits of several gateways may be in one Redis, and say nothing of whose they are. */
  readonly secret: Buffer | string;
  readonly daemon: string;
  /** Another for each process of the same daemon. */
  readonly epoch: string;
}

/** Before the name of a generation, so that no two stores have the same. */
const prefix = 'redis ';
const amount = z.number().int();
const Answer = z.tuple([z.string(), z.number(), amount.nonnegative(), amount, amount.nonnegative(), amount, amount]);

const clockOf = ([seconds, microseconds]: readonly string[]): number =>
  Number(seconds) * 1_000 + Number(microseconds) / 1_000;

/** One run of a script for each limit, all of them in one round trip. */
export class RedisRateStore implements RateStore {
  readonly name = 'redis';
  readonly #options: RedisRateStoreOptions;
  readonly #clock = new StoreClock();
  /** The connection that the script was loaded on, and its digest. */
  #loaded: { readonly client: RedisClient; readonly digest: string } | undefined;

  constructor(options: RedisRateStoreOptions) {
    this.#options = options;
  }

  isUp(): boolean {
    return this.#options.isUp();
  }

  /** @throws Error when Redis cannot be asked, or what it holds is not what a daemon has written */
  async exchange(wanted: readonly RateWanted[]): Promise<readonly RateGranted[]> {
    let sentMs = 0;
    const answers = await this.#options.ask(async (client) => {
      const digest = await this.#digestOn(client);
      sentMs = performance.now();
      return Promise.all(wanted.map((each) => client.evalSha(digest, this.#question(each))));
    });
    if (!answers) {
      // Its scripts may have been flushed.
      this.#loaded = undefined;
      throw new Error('Redis does not count');
    }
    return answers.map((answer) => {
      const [generation, isStranger, own, room, others, waitMs, clockMs] = Answer.parse(answer);
      this.#clock.learn(sentMs, clockMs);
      return { generation: `${prefix}${generation}`, isStranger: isStranger === 1, own, room, others, waitMs };
    });
  }

  async #digestOn(client: RedisClient): Promise<string> {
    if (this.#loaded?.client === client) return this.#loaded.digest;
    const sentMs = performance.now();
    const [digest, time] = await Promise.all([client.scriptLoad(rateScript), client.time()]);
    this.#clock.learn(sentMs, clockOf(time));
    this.#loaded = { client, digest };
    return digest;
  }

  #question({ name, most, isWindow, generation, gift, inUse, need, want, target, uses }: RateWanted) {
    const { secret, daemon, epoch } = this.#options;
    // Of another store it is none of this one's.
    const known = generation?.startsWith(prefix) ? generation.slice(prefix.length) : generation && 'another';
    return {
      keys: [`gatewayctl:limits:${createHmac('sha256', secret).update(name).digest('base64url')}`],
      arguments: [
        daemon,
        epoch,
        String(rateLifeMs),
        String(most),
        isWindow ? '1' : '0',
        known ?? '',
        ...[gift, inUse, need, want, target].map(String),
        randomUUID(),
        ...uses.flatMap(([atMs, used]) => [String(this.#clock.secondAt(atMs)), String(used)]),
      ],
    };
  }
}
