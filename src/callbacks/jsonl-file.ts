import { AppendFile, type AppendFileOptions } from './append-file.ts';
import type { Destination } from './destination.ts';
import { payloadOf } from './payload.ts';

export type JsonlSettings = AppendFileOptions & Pick<Destination, 'name' | 'wants' | 'hasBodies'>;

/** A file with a call on each line. */
export function jsonlFile({ name, wants, hasBodies, ...options }: JsonlSettings): Destination {
  const file = new AppendFile(options);
  return {
    name,
    wants,
    hasBodies,
    async deliver(batch) {
      await file.append(batch.map((event) => `${JSON.stringify(payloadOf(event, { hasBodies }))}\n`).join(''));
      return { outcome: 'delivered' };
    },
    close: () => file.close(),
  };
}
