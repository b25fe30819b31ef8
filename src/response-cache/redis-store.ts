import type { Keyv } from 'keyv';
import { RedisLink } from '../access/redis-link.ts';
import { aMinuteApart, keyvOn, RedisQuestions } from '../access/redis-questions.ts';
import { GatewayError } from '../kernel/errors.ts';
import type { Log } from '../kernel/log.ts';
import type { AnswerStore } from './response-cache.ts';

/** With a version, since daemons of two versions may share a Redis. */
const namespace = 'gatewayctl:answers:1';

/** An administrator's command, which goes through all entries, may take longer than a call may wait. */
const COMMAND_MS = 10_000;

/** Answers in a Redis. While it is away nothing is found, and nothing kept. */
export async function openRedisStore({ url, log }: { url: string; log: Log }): Promise<AnswerStore> {
  const link = new RedisLink({
    url,
    log,
    meanwhile: 'answers are not cached',
    onUp: (client) => questions.begin(keyvOn(client, { namespace })),
    onDown: () => questions.end(),
  });
  const questions = new RedisQuestions((cause) => link.drop(cause));
  const tell = aMinuteApart(log);
  const refuses = (cause: unknown): undefined => {
    tell(`Redis refuses what the response cache asks: ${String(cause)}`);
  };
  const command = async <T>(action: (keyv: Keyv<string>) => Promise<T>): Promise<T> => {
    const { store } = questions;
    if (!store) throw away();
    const late = Promise.withResolvers<never>();
    const timer = setTimeout(() => late.reject(away()), COMMAND_MS);
    try {
      return await Promise.race([action(store), late.promise]);
    } catch (cause) {
      throw cause instanceof GatewayError ? cause : away(cause);
    } finally {
      clearTimeout(timer);
    }
  };

  await link.start();
  return {
    async get(name) {
      const stored: unknown = await questions.ask((keyv) => keyv.get(name), refuses);
      return typeof stored === 'string' ? stored : undefined;
    },
    async set(name, text, ttlMs) {
      await questions.ask((keyv) => keyv.set(name, text, ttlMs), refuses);
    },
    delete: (names) =>
      command(async (keyv) => {
        const had = await Promise.all(names.map(async (name) => keyv.delete(name)));
        return had.filter(Boolean).length;
      }),
    clear: () => command((keyv) => keyv.clear()),
    ping: () =>
      command(async (keyv) => {
        await keyv.has('ping');
      }),
    [Symbol.asyncDispose]: () => link[Symbol.asyncDispose](),
  };
}

const away = (cause?: unknown): GatewayError =>
  new GatewayError('unavailable', 'cache_ping_error', 'The Redis of the response cache does not answer', {
    hint: 'Calls go on without cached answers. See litellm_settings.cache_params, and the log of the daemon.',
    ...(cause !== undefined && { cause }),
  });
