import { z } from 'zod';
import { GatewayError } from '../kernel/errors.ts';
import { label } from '../kernel/fields.ts';
import { operation } from '../kernel/operation.ts';
import { wire } from '../kernel/wire.ts';
import { liveLine, opened } from './calls.wire.ts';
import { type DaemonInfo, kinds, type LiveUsage, liveUsage, sortings } from './live.wire.ts';
import type { AskedUsage } from './usage.ts';

/** What goes on in a daemon. */
export interface LiveSource {
  readonly daemon: DaemonInfo;
  readonly usage: (asked: AskedUsage) => LiveUsage;
}

interface Needs {
  /** Absent beside no daemon. */
  live: LiveSource | undefined;
}

interface Named {
  keys: { readonly get: (reference: string) => Promise<{ readonly id: string }> };
  teams: { readonly get: (reference: string) => Promise<{ readonly id: string }> };
}

export const showLiveUsage = operation({
  command: ['daemon', 'show-usage'],
  route: ['GET', '/daemon/live/usage'],
  summary: 'Show what the last minute brought, and what is under way',
  description:
    'Calls by key, team, user or model, as the one daemon that is asked has seen them in the last minute; other daemons know their own. `gatewayctl top` shows it again and again.',
  input: wire({
    by: z.enum(kinds).default('key').describe('What calls are put together by'),
    window: z.int().min(2).max(60).default(60).describe('Seconds to look back'),
    sort: z.enum(sortings).default('requests').describe('What the rows are ordered by, the most first'),
    limit: z.int().min(1).max(300).default(100).describe('Rows at most'),
  }),
  output: liveUsage,
  access: 'admin',
  run: ({ live }: Needs, asked) => {
    if (!live) throw noDaemon();
    return Promise.resolve(live.usage(asked));
  },
});

export const followCalls = operation({
  command: ['daemon', 'show-calls'],
  route: ['GET', '/daemon/live/calls'],
  summary: 'Follow the calls of a daemon as they end',
  description:
    'Answers lines of JSON (NDJSON) and does not end: the first says whose calls they are, and each of the others has a type. A call is told when it is over, or was refused, without anything that was asked or answered. Blank lines mean nothing. Who takes them too slowly is told how many were left out; 16 may follow at once. Only the daemon that is asked is followed. On the command line: `gatewayctl tail`.',
  input: wire({
    key: label.optional().describe('Only calls with this key: alias, id or hash'),
    team: label.optional().describe('Only calls of this team, by id or alias'),
    user: label.optional().describe('Only calls of this user'),
    model: label.optional().describe('Only calls that asked for this model'),
    httpStatus: z
      .string()
      .regex(/^[1-5](?:\d\d|xx)$/, 'must be an HTTP status such as 429, or 5xx')
      .optional()
      .describe('Only calls with this HTTP status, such as 429 or 5xx'),
    errors: z.boolean().default(false).describe('Only calls that were not answered'),
  }),
  output: opened,
  follows: liveLine,
  access: 'admin',
  run: async ({ live, keys, teams }: Needs & Named, { key, team, user, model, httpStatus, errors }) => {
    if (!live) throw noDaemon();
    return {
      type: 'opened' as const,
      daemon: live.daemon,
      keyId: key === undefined ? null : (await keys.get(key)).id,
      teamId: team === undefined ? null : (await teams.get(team)).id,
      userId: user ?? null,
      model: model ?? null,
      status: httpStatus ?? null,
      errors,
    };
  },
});

export const liveOperations = [showLiveUsage, followCalls] as const;

const noDaemon = (): GatewayError =>
  new GatewayError('unavailable', 'no_daemon', 'Calls are known to a daemon alone, and this does not go to one', {
    hint: 'Name one with --server, or its state directory with --state-dir.',
  });
