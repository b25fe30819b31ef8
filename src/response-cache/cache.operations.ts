import { z } from 'zod';
import { operation } from '../kernel/operation.ts';
import { answer, wire } from '../kernel/wire.ts';
import type { CacheService } from './cache.service.ts';

interface Needs {
  responseCache: CacheService;
}

const done = answer({ status: z.literal('success').describe('Every daemon forgets what was named') });
const forgets =
  'Takes effect at every daemon that hears of it, which is within a second; one that has lost the database goes on with ' +
  'what it has until that runs out.';

export const pingCache = operation({
  command: ['cache', 'ping'],
  route: ['GET', '/cache/ping'],
  summary: 'Ask whether the response cache answers',
  input: wire({}),
  output: answer({
    status: z.literal('healthy').describe('It answers'),
    cacheType: z.enum(['local', 'redis']).describe('Where answers are kept: in each daemon, or in a Redis'),
    pingResponse: z.boolean().describe('Whether the store has answered'),
  }),
  access: 'admin',
  cli: {
    columns: ['status', 'cache_type'],
    examples: [['Whether the Redis of the cache is there', 'gatewayctl cache ping']],
  },
  run: async ({ responseCache }: Needs) => ({
    status: 'healthy' as const,
    cacheType: await responseCache.ping(),
    pingResponse: true,
  }),
});

export const deleteCached = operation({
  command: ['cache', 'delete'],
  aliases: ['rm'],
  route: ['POST', '/cache/delete'],
  summary: 'Forget single cached answers',
  description: forgets,
  input: wire({
    keys: z
      .array(z.string().regex(/^[0-9a-f]{64}$/, 'must be the x-litellm-cache-key of an answer'))
      .min(1)
      .max(100)
      .describe('The x-litellm-cache-key of each answer'),
  }),
  output: done,
  access: 'admin',
  cli: {
    args: ['keys'],
    confirm: 'moderate',
    done: () => 'Cached answers deleted',
    examples: [
      [
        'The answer with this header x-litellm-cache-key',
        'gatewayctl cache delete 3f0c5d0c1d0a4a7e9b0f5f7a6f0e4f1e2c8a9d7b6c5e4f3a2b1c0d9e8f7a6b5c --yes',
      ],
    ],
  },
  run: async ({ responseCache }: Needs, { keys }) => {
    await responseCache.forget(keys);
    return { status: 'success' as const };
  },
});

export const flushCache = operation({
  command: ['cache', 'flush'],
  aliases: ['flushall'],
  route: ['POST', '/cache/flushall'],
  summary: 'Forget all cached answers',
  description: `${forgets} What else is in the same Redis stays.`,
  input: wire({}),
  output: done,
  access: 'admin',
  cli: {
    confirm: 'moderate',
    done: () => 'All cached answers deleted',
    examples: [['After a model was replaced', 'gatewayctl cache flush --yes']],
  },
  run: async ({ responseCache }: Needs) => {
    await responseCache.forget('all');
    return { status: 'success' as const };
  },
});

export const cacheOperations = [pingCache, deleteCached, flushCache] as const;
