import KeyvRedis from '@keyv/redis';
import { Keyv } from 'keyv';
import type { SharedCache } from './key-cache.ts';
import { createSnapshotCodec, snapshotVersion } from './snapshot.ts';

export interface SharedCacheOptions {
  readonly url: string;
  /** Milliseconds an entry lives. */
  readonly ttl: number;
  /** Entries are believed only when a daemon with the same secret has written them. */
  readonly secret: Buffer | string;
  readonly warn: (message: string, cause?: unknown) => void;
}

/** With a version, since daemons of two versions may share a Redis. Keyv hands its own down to the store: both are told. */
const namespace = `gatewayctl:auth:${snapshotVersion}`;

/** Longer than this and asking PostgreSQL is quicker. */
const DEADLINE_MS = 50;

/** After so many failures in a row Redis is left alone for a second, so that its trouble is not every request's. */
const FAILURES = 5;
const PAUSE_MS = 1_000;

/** Strange entries are told of once in so long: whoever can write one can write many. */
const STRANGE_MS = 60_000;

/**
 * The second tier of the key cache, in Redis. It only ever saves a query: at its defaults `@keyv/redis` waits for ever on
 * a Redis that is stopped and answers `undefined` when it is gone, so every call here has a deadline and a failure is a miss.
 */
export function openSharedCache({ url, ttl, secret, warn }: SharedCacheOptions): SharedCache {
  const store = new KeyvRedis<string>(
    {
      url,
      disableOfflineQueue: true,
      socket: { connectTimeout: 300, reconnectStrategy: (tries: number) => Math.min(1_000, 50 * tries) },
    },
    { connectionTimeout: 300, throwOnConnectError: false, namespace, keyPrefixSeparator: ':' },
  );
  const keyv = new Keyv<string>({ store, ttl, namespace, useKeyPrefix: false, throwOnErrors: true });
  const codec = createSnapshotCodec(secret);
  let failures = 0;
  let openAt = 0;
  const failed = (cause: unknown) => {
    if (++failures === FAILURES) warn('Redis does not answer; keys are read from PostgreSQL', cause);
    if (failures >= FAILURES) openAt = performance.now() + PAUSE_MS;
  };
  keyv.on('error', failed);

  let strange = 0;
  let toldAt = -STRANGE_MS;
  function isStrange(): undefined {
    strange++;
    if (performance.now() - toldAt < STRANGE_MS) return;
    toldAt = performance.now();
    warn(`Redis holds entries that no daemon with our keys has written (${strange} so far); they are passed over`);
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
      // Whoever may write to Redis may have put something else than text there.
      const stored: unknown = await attempt(() => keyv.get(hash));
      if (stored === undefined) return undefined;
      return (typeof stored === 'string' ? codec.decode(hash, stored) : undefined) ?? isStrange();
    },
    set: async (hash, snapshot) => {
      await attempt(() => keyv.set(hash, codec.encode(hash, snapshot)));
    },
    delete: async (hashes) => {
      await attempt(() => keyv.delete([...hashes]));
    },
    [Symbol.asyncDispose]: async () => {
      await Promise.race([keyv.disconnect(), new Promise((resolve) => setTimeout(resolve, 500).unref())]).catch(
        () => {},
      );
    },
  };
}
