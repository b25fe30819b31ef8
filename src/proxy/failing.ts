import { GatewayError } from '../kernel/errors.ts';
import { clientGone } from './exchange.ts';
import type { Exchange } from './exchange.ts';
import { UpstreamError, interruption } from './failures.ts';
import { limitRest } from './read-body.ts';
import { usageOf } from './reported-usage.ts';

/** Ends an exchange that did not go well: settles it, and answers if there is somebody to answer. */
export async function fail(exchange: Exchange, thrown: unknown): Promise<void> {
  // Whoever left takes precedence: what went wrong after that went wrong because of it.
  const reason = exchange.response.destroyed ? clientGone : GatewayError.from(thrown);
  const error = exchange.isAnswering ? interruption(reason) : reason;
  exchange.onStop = undefined;
  exchange.upstream?.abort();
  exchange.lease?.release();
  await settleFailure(exchange, error, reason);
  await exchange.kept();
  report(exchange, error);
  if (exchange.response.destroyed || exchange.response.writableEnded) return;
  if (exchange.isAnswering) {
    const farewell = exchange.relay?.farewell(error);
    if (farewell === undefined) exchange.response.destroy();
    else exchange.end(farewell);
    return;
  }
  const { errorBody } = exchange.endpoint;
  exchange.answerJson(error.status, errorBody ? errorBody(error, exchange.id) : error, headersOf(error, exchange));
  limitRest(exchange);
}

/** Of an upstream's error none about limits where the caller has its own: two of one name would be read as one. */
const headersOf = ({ headers }: GatewayError, { hasOwnLimits }: Exchange): string[] =>
  Object.entries(headers)
    .filter(([name]) => !hasOwnLimits || !/^(?:x|anthropic)-ratelimit-/.test(name))
    .flat();

/**
 * What a call costs that was not finished. Providers bill what they were asked to do, whoever reads it, so a client must
 * not be able to spend the operator's money by hanging up in time, or by asking for more than we wait for:
 *
 * - the upstream reported the usage of the whole call: that. A stream whose client left after the model had finished is
 *   read on for it, for two seconds at most; before that the upstream is hung up on at once, which ends its work;
 * - part of an answer came, or was paid for: the prompt as it was estimated, and the tokens counted in what came; where the
 *   upstream has reported what it used so far, the larger of the two, because some do so with the first chunk only. What a
 *   model thought without saying it, before its client left, nobody knows;
 * - it was sent, and given up by the client, by one of our time-outs, by a shutdown, or for an answer that is too large or
 *   otherwise unfit: the same, if with nothing in it but the prompt;
 * - the provider has counted something of it in a protocol that is not the client's: that, in the same way;
 * - the upstream refused it, hung up before it answered anything, or never got it: nothing.
 */
async function settleFailure(exchange: Exchange, error: GatewayError, reason: GatewayError): Promise<void> {
  await settleAttempt(exchange, error, { reason, goesOn: false });
}

interface Ending {
  /** Why it ended, where the client is told something else. */
  readonly reason: GatewayError;
  /** Whether the call has another attempt. */
  readonly goesOn: boolean;
}

/** Books a failed attempt. */
export async function settleAttempt(exchange: Exchange, error: GatewayError, ending: Ending): Promise<void> {
  const { relay } = exchange;
  const { reason, goesOn } = ending;
  const isInterrupted = isPaid(exchange, reason);
  const counted = isInterrupted && !relay?.isUsageFinal ? ((await relay?.completionTokens()) ?? 0) : 0;
  exchange.settle({
    status: isInterrupted ? 'interrupted' : 'failure',
    httpStatus: exchange.isAnswering && error !== clientGone ? 200 : error.status,
    usage: isInterrupted ? usageOf(exchange, counted) : undefined,
    error: error.type,
    goesOn,
    firstByteAt: relay?.firstByteAt,
  });
}

/** Whether the upstream is likely to bill the call. */
export function isPaid(exchange: Exchange, reason: GatewayError): boolean {
  const { relay, upstream } = exchange;
  if (exchange.isAnswering || upstream?.counted) return true;
  if (!relay?.wasSent || relay.answer === 'refused' || reason instanceof UpstreamError) return false;
  return relay.answer === 'accepted' || exchange.stopped !== undefined || reason.kind === 'upstreamTimeout';
}

/** Client errors are the client's to read; what is ours or the upstream's is for the operator, with its cause. */
function report({ id, asked, model, target, context }: Exchange, error: GatewayError): void {
  if (error === clientGone || error.status < 500) return;
  const isOurs = error.kind === 'internal';
  context.deps.log(isOurs ? 'error' : 'warn', error.message, {
    requestId: id,
    model: model || asked.model,
    deployment: target.deployment.id,
    type: error.type,
    status: error.status,
    cause: isOurs ? error.cause : causeOf(error),
  });
}

/** The end of the chain of causes, as text: undici's parser errors carry the bytes they stumbled over, which are content. */
function causeOf(error: Error): string | undefined {
  const { cause } = error;
  if (!(cause instanceof Error)) return undefined;
  if (cause instanceof GatewayError) return causeOf(cause);
  return 'code' in cause ? `${cause.message} (${String(cause.code)})` : cause.message;
}
