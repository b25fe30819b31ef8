import KeyvRedis from '@keyv/redis';
import { Keyv } from 'keyv';
import { type Change, readChange } from '../db/notify.ts';
import type { Log } from '../kernel/log.ts';
import type { SharedCache } from './key-cache.ts';
import { REDIS_DEADLINE_MS, type RedisClient, RedisLink } from './redis-link.ts';
import { createTextSigner } from './signed-text.ts';
import { createSnapshotCodec, snapshotVersion } from './snapshot.ts';

export interface SharedCacheOptions {
  readonly url: string;
  /** Milliseconds an entry lives. */
  readonly ttl: number;
  /** Entries and announcements are believed only when a daemon with the same secret has written them. */
  readonly secret: Buffer | string;
  readonly log: Log;
}

/** What daemons that share a Redis tell each other through it. */
export interface Redis extends AsyncDisposable {
  readonly cache: SharedCache;
  /** Tells the others of a change that is committed. */
  announce(change: Change): void;
  /** Whoever is told of changes from now on. */
  follow(onChange: (change: Change) => Promise<void> | void): void;
}

/** With a version, since daemons of two versions may share a Redis. Keyv hands its own down to the store: both are told. */
const namespace = `gatewayctl:auth:${snapshotVersion}`;
const channel = 'gatewayctl:changes';

/** After so many questions in a row that took too long Redis is away, until a connection to it is quick again. */
const LATE_AT_MOST = 5;

/** The same is told of once in so long: whoever can write one strange entry can write many. */
const APART_MS = 60_000;

/**
 * The second tier of the key cache, and the second way in which changes are announced. Neither is relied upon: the cache
 * only ever saves a query, and an announcement can only make a daemon forget. It arrives where that of PostgreSQL does
 * not: while that connection is lost and nobody knows it yet, and while keys are served from before.
 */
export async function openRedis({ url, ttl, secret, log }: SharedCacheOptions): Promise<Redis> {
  const codec = createSnapshotCodec(secret);
  const signer = createTextSigner(secret, 'change-mac');
  let keyv: Keyv<string> | undefined;
  let late = 0;
  let onChange: ((change: Change) => Promise<void> | void) | undefined;
  const failedToFollow = (error: unknown): void => {
    log('error', 'A change that Redis announced could not be followed', { error });
  };
  const link = new RedisLink({
    url,
    log,
    channel,
    onMessage(signed) {
      // Of another gateway that uses the same Redis, or of whoever may write there.
      const text = signer.open(signed);
      const change = text === undefined ? undefined : readChange(text);
      if (change) void (async () => onChange?.(change))().catch(failedToFollow);
    },
    onUp(client) {
      late = 0;
      keyv = keyvOn(client, ttl);
    },
    onDown() {
      keyv = undefined;
    },
  });

  const tellStrange = aMinuteApart(log);
  const tellRefusal = aMinuteApart(log);
  let strange = 0;
  const isStrange = (): undefined => {
    strange++;
    tellStrange(
      `Redis holds entries that no daemon with our keys has written (${strange} so far); they are passed over`,
    );
  };
  const refuses = (cause: unknown): undefined => {
    tellRefusal(`Redis does not take what is written to it: ${String(cause)}`);
  };

  /** Undefined when Redis is away, late, or answers with an error: it may be full, or hold another type. */
  async function attempt<T>(
    action: (keyv: Keyv<string>) => Promise<T>,
    failed: (cause: unknown) => undefined,
  ): Promise<T | undefined> {
    const current = keyv;
    if (!current) return undefined;
    let timer: NodeJS.Timeout | undefined;
    const tooLate = new Error(`Redis took longer than ${REDIS_DEADLINE_MS} ms, ${LATE_AT_MOST} times in a row`);
    try {
      const deadline = new Promise<never>((_, reject) => {
        // Timers run before sockets are read: after a pause of our own the answer may lie there already.
        timer = setTimeout(() => setImmediate(reject, tooLate), REDIS_DEADLINE_MS);
      });
      const result = await Promise.race([action(current), deadline]);
      late = 0;
      return result;
    } catch (cause) {
      if (cause !== tooLate) return current === keyv ? failed(cause) : undefined;
      if (current === keyv && ++late >= LATE_AT_MOST) link.drop(tooLate);
      return undefined;
    } finally {
      clearTimeout(timer);
    }
  }

  await link.start();
  return {
    cache: {
      ttl,
      get: async (hash) => {
        // Whoever may write to Redis may have put something else than text there.
        const stored: unknown = await attempt((current) => current.get(hash), isStrange);
        if (stored === undefined) return undefined;
        return (typeof stored === 'string' ? codec.decode(hash, stored) : undefined) ?? isStrange();
      },
      set: async (hash, snapshot) => {
        await attempt((current) => current.set(hash, codec.encode(hash, snapshot)), refuses);
      },
      delete: async (hashes) => {
        await attempt((current) => current.delete([...hashes]), refuses);
      },
    },
    announce: (change) => link.publish(signer.sign(JSON.stringify(change))),
    follow(handler) {
      onChange = handler;
    },
    [Symbol.asyncDispose]: () => link[Symbol.asyncDispose](),
  };
}

function keyvOn(client: RedisClient, ttl: number): Keyv<string> {
  const store = new KeyvRedis<string>(client, { namespace, keyPrefixSeparator: ':', throwOnErrors: true });
  const keyv = new Keyv<string>({ store, ttl, namespace, useKeyPrefix: false, throwOnErrors: true });
  // Each failure is thrown too; one of the connection the link hears of.
  store.on('error', () => undefined);
  keyv.on('error', () => undefined);
  return keyv;
}

/** Of each caller's lines one, and the next a minute later. */
function aMinuteApart(log: Log): (line: string) => void {
  let toldAt = -APART_MS;
  return (line) => {
    if (performance.now() - toldAt < APART_MS) return;
    toldAt = performance.now();
    log('warn', line);
  };
}
