import { toMilliseconds } from '../kernel/duration.ts';
import type { ResponseCacheSettings } from '../response-cache/response-cache.ts';
import { cachedCallTypes } from './cache-settings.ts';
import type { SettingValues } from './settings.ts';

export interface ResponseCacheConfig extends ResponseCacheSettings {
  /** Where it is, of one in Redis. */
  readonly redisUrl: string | undefined;
  /** Of one in the memory of this process. */
  readonly most: { readonly entries: number; readonly bytes: number };
}

/** Undefined where answers are not cached. @param refuse told of what does not fit together */
export function responseCacheOf(
  values: SettingValues,
  refuse: (message: string) => void,
): ResponseCacheConfig | undefined {
  if (!values.cache) return undefined;
  const redisUrl = redisUrlOf(values);
  const type = values.cacheType ?? (redisUrl === undefined ? 'local' : 'redis');
  if (type === 'redis' && redisUrl === undefined) {
    refuse('is redis, and no Redis is named: set cache_params.url or host, or REDIS_URL');
  }
  return {
    type,
    redisUrl: type === 'redis' ? redisUrl : undefined,
    isOptIn: values.cacheMode === 'default_off',
    ttlMs: toMilliseconds(values.cacheTtl),
    callTypes: cachedCallTypes(values.cacheCallTypes),
    namespace: values.cacheNamespace ?? '',
    isShared: values.cacheScope === 'everybody',
    answerBytes: values.cacheAnswerSize,
    most: { entries: values.cacheEntries, bytes: values.cacheSize },
  };
}

function redisUrlOf(values: SettingValues): string | undefined {
  const { cacheRedisUrl, cacheRedisHost: host, cacheRedisPort: port, redisUrl } = values;
  if (cacheRedisUrl !== undefined || host === undefined) return cacheRedisUrl ?? redisUrl;
  const url = new URL(
    `${values.cacheRedisTls ? 'rediss' : 'redis'}://${host.includes(':') ? `[${host}]` : host}:${port}`,
  );
  url.username = encodeURIComponent(values.cacheRedisUsername ?? '');
  url.password = encodeURIComponent(values.cacheRedisPassword ?? '');
  return url.href;
}
