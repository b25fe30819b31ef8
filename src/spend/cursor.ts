import { z } from 'zod';

/** Where a page of calls ended: the call it ended with, by what the list is sorted by. */
export interface Cursor {
  readonly createdAt: Date;
  readonly requestId: string;
}

const pattern = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z),(.+)$/s;

/** `<end_time>,<request_id>` of the last call of a page: whoever has the page can write it. */
export const cursorText = z.codec(
  z.string().max(400).regex(pattern, 'must be <end_time>,<request_id> of the last call of the page before'),
  z.custom<Cursor>(),
  {
    decode: (text, context) => {
      const [, moment = '', requestId = ''] = pattern.exec(text) ?? [];
      const createdAt = new Date(moment);
      if (!Number.isNaN(createdAt.getTime())) return { createdAt, requestId };
      context.issues.push({ code: 'custom', input: text, message: 'must begin with a moment' });
      return z.NEVER;
    },
    encode: ({ createdAt, requestId }) => `${createdAt.toISOString()},${requestId}`,
  },
);
