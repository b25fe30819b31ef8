import type { SharedV4ProviderOptions } from '@ai-sdk/provider';
import { isRecord } from '../../kernel/record.ts';
import { type Fields, invalid, type Reading } from './reading.ts';

/** LiteLLM's mark, which is Anthropic's: what stands before it is to be kept in the provider's cache. */
export function cacheMark(reading: Reading, { cache_control: mark }: Fields): SharedV4ProviderOptions | undefined {
  if (mark === undefined || mark === null) return undefined;
  const ttl = isRecord(mark) ? mark['ttl'] : undefined;
  if (!isRecord(mark) || mark['type'] !== 'ephemeral' || !isLifetime(ttl)) {
    throw invalid('cache_control must be {"type":"ephemeral"}, with a ttl of 5m or 1h', 'cache_control');
  }
  const lifetime = ttl === undefined ? {} : { ttl };
  if (reading.isAnthropic) return reading.own({ cacheControl: { type: 'ephemeral', ...lifetime } });
  if (reading.isBedrock) return reading.own({ cachePoint: { type: 'default', ...lifetime } });
  reading.leaveOut('cache_control');
  return undefined;
}

const isLifetime = (ttl: unknown): ttl is '5m' | '1h' | undefined => ttl === undefined || ttl === '5m' || ttl === '1h';

/** As an addition to a part: nothing where there is no mark. */
export function marked(reading: Reading, fields: Fields): { providerOptions?: SharedV4ProviderOptions } {
  const providerOptions = cacheMark(reading, fields);
  return providerOptions ? { providerOptions } : {};
}
