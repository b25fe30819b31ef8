import KeyvRedis from '@keyv/redis';
import { Keyv } from 'keyv';
import type { SharedCache, Snapshot } from './key-cache.ts';

export interface SharedCacheOptions {
  readonly url: string;
  /** Milliseconds an entry lives. */
  readonly ttl: number;
  readonly warn: (message: string, cause: unknown) => void;
}

/** With a version, since daemons of two versions may share a Redis. Keyv hands its own down to the store: both are told. */
const namespace = 'gatewayctl:auth:v2';

/** Longer than this and asking PostgreSQL is quicker. */
const DEADLINE_MS = 50;

/** After so many failures in a row Redis is left alone for a second, so that its trouble is not every request's. */
const FAILURES = 5;
const PAUSE_MS = 1_000;

/**
 * The second tier of the key cache, in Redis. It only ever saves a query: at its defaults `@keyv/redis` waits for ever on
 * a Redis that is stopped and answers `undefined` when it is gone, so every call here has a deadline and a failure is a miss.
 */
export function openSharedCache({ url, ttl, warn }: SharedCacheOptions): SharedCache {
  const store = new KeyvRedis<string>(
    {
      url,
      disableOfflineQueue: true,
      socket: { connectTimeout: 300, reconnectStrategy: (tries: number) => Math.min(1_000, 50 * tries) },
    },
    { connectionTimeout: 300, throwOnConnectError: false, namespace, keyPrefixSeparator: ':' },
  );
  const keyv = new Keyv<string>({ store, ttl, namespace, useKeyPrefix: false, throwOnErrors: true });
  let failures = 0;
  let openAt = 0;
  const failed = (cause: unknown) => {
    if (++failures === FAILURES) warn('Redis does not answer; keys are read from PostgreSQL', cause);
    if (failures >= FAILURES) openAt = performance.now() + PAUSE_MS;
  };
  keyv.on('error', failed);

  async function drop(hashes: readonly string[]): Promise<true> {
    await keyv.delete([...hashes]);
    return true;
  }

  async function attempt<T>(action: () => Promise<T>): Promise<T | undefined> {
    if (performance.now() < openAt) return undefined;
    let timer: NodeJS.Timeout | undefined;
    try {
      const deadline = new Promise<never>((_, reject) => {
        timer = setTimeout(() => reject(new Error(`Redis took longer than ${DEADLINE_MS} ms`)), DEADLINE_MS);
      });
      const result = await Promise.race([action(), deadline]);
      failures = 0;
      return result;
    } catch (cause) {
      failed(cause);
      return undefined;
    } finally {
      clearTimeout(timer);
    }
  }

  return {
    ttl,
    get: async (hash) => {
      const text = await attempt(() => keyv.get(hash));
      return text === undefined ? undefined : parse(text);
    },
    set: async (hash, snapshot) => {
      await attempt(() => keyv.set(hash, stringify(snapshot)));
    },
    // In a pause it says no as well: what was not dropped is doubted for as long as it may live.
    delete: async (hashes) => (await attempt(() => drop(hashes))) === true,
    [Symbol.asyncDispose]: async () => {
      await Promise.race([keyv.disconnect(), new Promise((resolve) => setTimeout(resolve, 500).unref())]).catch(
        () => {},
      );
    },
  };
}

/** Limits are bigint, which JSON has not: they travel as text. */
function stringify(snapshot: Snapshot): string {
  return JSON.stringify(snapshot, (_, value: unknown) => (typeof value === 'bigint' ? `${value}n` : value));
}

function parse(text: string): Snapshot | undefined {
  try {
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- written by `stringify` under a versioned namespace
    return JSON.parse(text, (key, value: unknown) =>
      key === 'max' && typeof value === 'string' ? BigInt(value.slice(0, -1)) : value,
    ) as Snapshot;
  } catch {
    // Whatever stands there is not ours: a miss.
    return undefined;
  }
}
