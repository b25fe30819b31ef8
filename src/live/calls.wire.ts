import { z } from 'zod';
import { usd } from '../kernel/money.ts';
import { answer, timestamp } from '../kernel/wire.ts';
import { daemon } from './live.wire.ts';

const name = z.string().nullable();
const count = z.int().min(0);

export const endings = ['answered', 'failed', 'refused', 'left'] as const;

/** What is told of a call: nothing that was asked or answered, and no credential. */
export const liveCall = answer({
  type: z.literal('call').describe('What the line is'),
  at: timestamp.describe('When the call was over'),
  requestId: z.string().describe('Of the call, as its client was told it'),
  outcome: z
    .enum(endings)
    .describe(
      'answered; failed, at the upstream or here; refused, before it went out; left, where its client did not wait for the end',
    ),
  status: z.int().describe('The HTTP status the client got, or would have got'),
  reason: name.describe('The type of the error'),
  message: name.describe(
    'Of a refusal: what the client was told. What upstreams say may quote what was asked, and is not here',
  ),
  param: name.describe('Of a refusal: the field at fault'),
  keyId: name.describe('The key'),
  keyAlias: name.describe('What it is called'),
  teamId: name.describe('Its team'),
  teamAlias: name.describe('What that is called'),
  userId: name.describe('Its user'),
  route: z.string().describe('The route, as it is registered'),
  model: name.describe('The model that was asked for'),
  deployment: name.describe('The deployment that was tried last'),
  provider: name.describe('Its provider'),
  stream: z.boolean().describe('Whether the answer was streamed'),
  attempts: count.describe('Attempts that were made'),
  retries: count.describe('Of those, at the same model again'),
  fallbacks: count.describe('Of those, at another model'),
  promptTokens: count.describe('Tokens sent'),
  completionTokens: count.describe('Tokens received'),
  cost: usd.describe('US dollars that all attempts cost'),
  durationMs: count.describe('Milliseconds from the request to the end'),
  firstByteMs: count.nullable().describe('Milliseconds from admission to the first byte'),
});
export type LiveCall = z.output<typeof liveCall>;

/** A line of what follows the calls: each says by its type what it is. */
export const liveLine = z.union([
  liveCall,
  answer({
    type: z.literal('skipped').describe('Lines are missing here: they came faster than they were taken'),
    count: count.describe('How many'),
  }),
  answer({
    type: z.literal('closed').describe('Nothing more comes'),
    reason: z.string().describe('shutting_down, or the type of the error by which the listener may no longer listen'),
  }),
]);

/** The first line: who tells, and of which calls. */
export const opened = answer({
  type: z.literal('opened').describe('What the line is'),
  daemon: daemon.describe('The one daemon whose calls these are'),
  keyId: name.describe('Only calls with this key'),
  teamId: name.describe('Only calls of this team'),
  userId: name.describe('Only calls of this user'),
  model: name.describe('Only calls for this model'),
  status: name.describe('Only calls with this status, or with one of this hundred'),
  errors: z.boolean().describe('Only calls that were not answered'),
});
export type Opened = z.output<typeof opened>;
