import { type Change, readChange } from '../db/notify.ts';
import type { Log } from '../kernel/log.ts';
import type { SharedCache } from './key-cache.ts';
import { type RedisClient, RedisLink } from './redis-link.ts';
import { aMinuteApart, keyvOn, RedisQuestions } from './redis-questions.ts';
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
  readonly isUp: () => boolean;
  /** Asks within the deadline of every question; undefined when it is away, late, or answers with an error. */
  readonly ask: <T>(action: (client: RedisClient) => Promise<T>) => Promise<T | undefined>;
  /** Tells the others of a change that is committed. */
  announce(change: Change): void;
  /** Whoever is told of changes from now on. */
  follow(onChange: (change: Change) => Promise<void> | void): void;
}

/** With a version, since daemons of two versions may share a Redis. Keyv hands its own down to the store: both are told. */
const namespace = `gatewayctl:auth:${snapshotVersion}`;
const channel = 'gatewayctl:changes';

/** To count elsewhere costs more than to wait: all daemons must, and report their last minute. No call asks that has not run out. */
const COUNT_DEADLINE_MS = 250;

/**
 * The second tier of the key cache, and the second way in which changes are announced. Neither is relied upon: the cache
 * only ever saves a query, and an announcement can only make a daemon forget. It arrives where that of PostgreSQL does
 * not: while that connection is lost and nobody knows it yet, and while keys are served from before.
 */
export async function openRedis({ url, ttl, secret, log }: SharedCacheOptions): Promise<Redis> {
  const codec = createSnapshotCodec(secret);
  const signer = createTextSigner(secret, 'change-mac');
  let onChange: ((change: Change) => Promise<void> | void) | undefined;
  const failedToFollow = (error: unknown): void => {
    log('error', 'A change that Redis announced could not be followed', { error });
  };
  const link = new RedisLink({
    url,
    log,
    meanwhile: 'keys are read from PostgreSQL',
    channel: {
      name: channel,
      onMessage(signed) {
        // Of another gateway that uses the same Redis, or of whoever may write there.
        const text = signer.open(signed);
        const change = text === undefined ? undefined : readChange(text);
        if (change) void (async () => onChange?.(change))().catch(failedToFollow);
      },
    },
    onUp: (client) => {
      questions.begin(keyvOn(client, { namespace, ttl }));
      plain.begin(client);
    },
    onDown: () => {
      questions.end();
      plain.end();
    },
  });
  const questions = new RedisQuestions((cause) => link.drop(cause));
  const plain = new RedisQuestions<RedisClient>((cause) => link.drop(cause), COUNT_DEADLINE_MS);

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

  await link.start();
  return {
    cache: {
      ttl,
      get: async (hash) => {
        // Whoever may write to Redis may have put something else than text there.
        const stored: unknown = await questions.ask((current) => current.get(hash), isStrange);
        if (stored === undefined) return undefined;
        return (typeof stored === 'string' ? codec.decode(hash, stored) : undefined) ?? isStrange();
      },
      set: async (hash, snapshot) => {
        await questions.ask((current) => current.set(hash, codec.encode(hash, snapshot)), refuses);
      },
      delete: async (hashes) => {
        await questions.ask((current) => current.delete([...hashes]), refuses);
      },
    },
    isUp: () => plain.store !== undefined,
    ask: (action) => plain.ask(action, refuses),
    announce: (change) => link.publish(signer.sign(JSON.stringify(change))),
    follow(handler) {
      onChange = handler;
    },
    [Symbol.asyncDispose]: () => link[Symbol.asyncDispose](),
  };
}
