import { Keyv } from 'keyv';
import { BoundedStore } from './bounded-store.ts';
import type { AnswerStore } from './response-cache.ts';

/** Answers in the memory of this process. */
export function openLocalStore(most: { readonly entries: number; readonly bytes: number }): AnswerStore {
  const keyv = new Keyv<string>({ store: new BoundedStore(most), useKeyPrefix: false, throwOnErrors: true });
  return {
    get: (name) => keyv.get<string>(name),
    async set(name, text, ttlMs) {
      await keyv.set(name, text, ttlMs);
    },
    async delete(names) {
      const had = await Promise.all(names.map(async (name) => keyv.delete(name)));
      return had.filter(Boolean).length;
    },
    clear: () => keyv.clear(),
    ping: () => Promise.resolve(),
  };
}
