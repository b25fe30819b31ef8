import { GatewayError, type ErrorKind } from '../kernel/errors.ts';
import { redactLooks } from '../kernel/mask.ts';
import { clampTokens } from '../metering/usage.ts';
import type { Exchange } from '../proxy/exchange.ts';
import { type LiveCall, liveCall } from './calls.wire.ts';
import { firstByteMsOf, verdictOf } from './live.ts';

/** Longer than any name that is kept, and than any message of ours. */
const longestText = 300;

/**
 * Errors whose messages are all of our own making. Others may quote a body, what an upstream made of it, or the hash of what
 * somebody took for a key, which may be a password.
 */
const ownKinds: ReadonlySet<ErrorKind> = new Set(['forbidden', 'limited', 'unavailable']);

/** What listeners are told of a call that is over. */
export function callOf(exchange: Exchange, thrown: unknown, at: Date): LiveCall {
  const { booked, principal, target, course, asked } = exchange;
  const verdict = verdictOf(exchange, thrown);
  const isRefused = verdict.ending === 'refused';
  const error = isRefused ? GatewayError.from(thrown) : undefined;
  const usage = booked?.outcome.usage;
  const firstByteMs = firstByteMsOf(exchange);
  const isSent = exchange.sentMs > 0;
  return {
    type: 'call',
    at,
    requestId: exchange.id,
    outcome: verdict.ending,
    status: booked?.outcome.httpStatus ?? GatewayError.from(thrown).status,
    reason: verdict.ending === 'answered' ? null : short(verdict.reason),
    message: error && ownKinds.has(error.kind) ? short(error.message) : null,
    param: error?.param === undefined ? null : short(error.param),
    keyId: principal.keyId || null,
    keyAlias: principal.alias,
    teamId: principal.teamId,
    teamAlias: principal.teamAlias,
    userId: principal.userId,
    route: exchange.handler.route,
    model: short(exchange.model || asked.model) || null,
    deployment: target.deployment.id || null,
    provider: target.deployment.provider || null,
    stream: asked.stream,
    attempts: isSent || booked ? exchange.attempts : 0,
    retries: course?.attemptedRetries ?? 0,
    fallbacks: course?.attemptedFallbacks ?? 0,
    promptTokens: clampTokens(usage?.promptTokens ?? 0),
    completionTokens: clampTokens(usage?.completionTokens ?? 0),
    cost: booked?.totalCost ?? 0n,
    durationMs: Math.round(performance.now() - exchange.startedMs),
    firstByteMs: firstByteMs < 0 ? null : Math.round(firstByteMs),
  };
}

const short = (text: string): string =>
  (text.length > longestText ? `${text.slice(0, longestText - 1)}…` : text).toWellFormed();

/** A line of JSON. Whatever looks like a credential is blotted out, wherever it stands: people paste keys into names. */
export const lineOf = (call: LiveCall): string => `${redactLooks(JSON.stringify(liveCall.encode(call)))}\n`;
