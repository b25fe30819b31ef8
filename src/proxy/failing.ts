import { GatewayError } from '../kernel/errors.ts';
import { clientGone } from './exchange.ts';
import type { Exchange } from './exchange.ts';
import { interruption } from './failures.ts';
import { limitRest } from './read-body.ts';
import { estimatedUsage } from './reported-usage.ts';

/** Ends an exchange that did not go well: settles it, and answers if there is somebody to answer. */
export async function fail(exchange: Exchange, thrown: unknown): Promise<void> {
  // Whoever left takes precedence: what went wrong after that went wrong because of it.
  const reason = exchange.response.destroyed ? clientGone : GatewayError.from(thrown);
  const error = exchange.isAnswering ? interruption(reason) : reason;
  exchange.onStop = undefined;
  exchange.upstream?.abort();
  await settleFailure(exchange, error);
  report(exchange, error);
  if (exchange.response.destroyed || exchange.response.writableEnded) return;
  if (exchange.isAnswering) {
    // Never a made-up finish: the error event is what tells a broken stream from a whole one.
    exchange.end(`data: ${JSON.stringify(error)}\n\ndata: [DONE]\n\n`);
    return;
  }
  exchange.answerJson(error.status, error, Object.entries(error.headers).flat());
  limitRest(exchange);
}

/**
 * What a call costs that was not finished:
 *
 * - the upstream reported usage: that;
 * - part of a stream was passed on: the prompt, and the tokens counted in what was passed on;
 * - the client left while the upstream was at work: the prompt. Providers bill it once they have begun, so leaving it
 *   out would let a client spend the operator's money by always hanging up in time; what had been written of an answer
 *   nobody knows, and hanging up on the upstream is what keeps that small;
 * - anything else, such as an upstream's error, or a client that left before anything was sent: nothing.
 */
async function settleFailure(exchange: Exchange, error: GatewayError): Promise<void> {
  const { relay, promptTokens } = exchange;
  const left = exchange.response.destroyed && relay?.wasSent === true;
  const status = exchange.isAnswering || left ? 'interrupted' : 'failure';
  if (status === 'interrupted') {
    exchange.usage ??= estimatedUsage(promptTokens, (await relay?.completionTokens()) ?? 0);
  }
  exchange.settle({
    status,
    httpStatus: exchange.isAnswering && error !== clientGone ? 200 : error.status,
    usage: exchange.usage,
    error: error.type,
    firstByteAt: relay?.firstByteAt,
  });
}

/** Client errors are the client's to read; what is ours or the upstream's is for the operator, with its cause. */
function report({ id, chat, target, context }: Exchange, error: GatewayError): void {
  if (error === clientGone || error.status < 500) return;
  const isOurs = error.kind === 'internal';
  context.deps.log(isOurs ? 'error' : 'warn', error.message, {
    requestId: id,
    model: chat.model,
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
