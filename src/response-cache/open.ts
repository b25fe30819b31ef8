import type { ResponseCacheConfig } from '../config/response-cache.ts';
import type { Log } from '../kernel/log.ts';
import { ResponseCache } from './response-cache.ts';

/** Loaded only where answers are cached, and the client of Redis only where they are there. */
export async function openResponseCache(
  config: ResponseCacheConfig,
  { log, secret }: { log: Log; secret: Buffer | string },
): Promise<ResponseCache> {
  const { redisUrl, most } = config;
  const store =
    redisUrl === undefined
      ? (await import('./local-store.ts')).openLocalStore(most)
      : await (await import('./redis-store.ts')).openRedisStore({ url: redisUrl, log });
  return new ResponseCache(config, store, secret);
}
