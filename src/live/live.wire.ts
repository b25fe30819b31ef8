import { z } from 'zod';
import { usd } from '../kernel/money.ts';
import { answer, timestamp } from '../kernel/wire.ts';

export const kinds = ['key', 'team', 'user', 'model'] as const;
/** What calls are put together by. */
export type Kind = (typeof kinds)[number];

export const sortings = [
  'requests',
  'tokens',
  'cost',
  'in_flight',
  'reserved',
  'refused',
  'failed',
  'first_byte',
  'name',
] as const;
export type Sorting = (typeof sortings)[number];

const count = z.int().min(0);
const counts = z.record(z.string(), count);

/** What the last seconds brought, and what is under way. */
const figures = {
  requests: count.describe('Calls that ended, however they did'),
  requestsPerSecond: z.number().describe('The same, for each second'),
  requestsPerMinute: z.number().describe('The same, for each minute'),
  promptTokens: count.describe('Tokens sent, of calls that ended'),
  completionTokens: count.describe('Tokens received, of calls that ended'),
  tokensPerSecond: z.number().describe('Both, for each second'),
  cost: usd.describe('US dollars these calls cost'),
  costPerHour: z.number().meta({ format: 'usd' }).describe('US dollars an hour at this rate costs'),
  inFlight: count.describe('Calls under way now'),
  reserved: usd.describe('US dollars held for the calls under way: the most they can cost'),
  refused: count.describe('Calls that were turned away before they went out'),
  refusals: counts.describe('Those, by reason'),
  failed: count.describe('Calls that went out and failed, or were cut'),
  failures: counts.describe('Those, by reason'),
  left: count.describe('Calls whose client left before their end'),
  firstByteP95Ms: count
    .nullable()
    .describe('Milliseconds from admission to the first byte, within which 95 of 100 answers began; to a fifth of it'),
};

export const figuresInfo = answer(figures);
export type Figures = z.output<typeof figuresInfo>;

export const holder = answer({
  id: z.string().nullable().describe('Of the key, team or user, or the name of the model; null where there is none'),
  name: z.string().describe('What it is called: an alias, else the id'),
  teamAlias: z.string().nullable().describe('Of a key: the team it belongs to'),
  ...figures,
});
export type HolderFigures = z.output<typeof holder>;

const daemonInfo = {
  host: z.string().describe('The machine it runs on'),
  pid: z.int().describe('Its process there'),
  version: z.string().describe('Of gatewayctl'),
  startedAt: timestamp.describe('When it started'),
};
export const daemon = answer(daemonInfo);
export type DaemonInfo = z.output<typeof daemon>;

export const liveUsage = answer({
  daemon: daemon.describe('The one daemon whose calls these are; others know their own'),
  at: timestamp.describe('When this was so'),
  by: z.enum(kinds).describe('What calls are put together by'),
  windowSeconds: z.number().describe('How many seconds the figures are of: fewer than asked for just after a start'),
  total: figuresInfo.describe('Of all calls, whoever made them'),
  rows: z.array(holder).describe('The first of them, in the order that was asked for'),
  rowsInAll: count.describe('How many there are'),
  others: figuresInfo.describe('Of those for whom there was no place in memory: no more than 300 of a kind have one'),
});
export type LiveUsage = z.output<typeof liveUsage>;
