import { clampUsage } from '../metering/usage.ts';
import type { Exchange } from '../proxy/exchange.ts';
import type { CallBodies, CallEvent } from './call-event.ts';
import { readTraceWishes } from './trace-wishes.ts';

/** Of a request's fields, those that are numbers and say how a model is to write. */
const parameters = [
  'temperature',
  'top_p',
  'max_tokens',
  'max_completion_tokens',
  'n',
  'seed',
  'frequency_penalty',
  'presence_penalty',
];

/** @param bytes of each body at most; undefined where none is wanted */
export function capture(exchange: Exchange, bytes: number | undefined): CallEvent | undefined {
  const { booked, endpoint, handler, asked, target, principal, course, relay, context } = exchange;
  // What is sent to Langfuse through us is a report itself.
  if (!booked || target.deployment.provider === 'langfuse') return undefined;
  const { outcome } = booked;
  const { cost, priceSource } = exchange.settlement;
  const { startedMs, sentMs, answeredMs } = exchange;
  const nowMs = performance.now();
  return {
    requestId: exchange.callId,
    callType: handler.endpoint ? endpoint.callType : 'pass_through_endpoint',
    stream: asked.stream,
    status: outcome.status,
    httpStatus: outcome.httpStatus,
    errorType: outcome.error,
    startedAt: performance.timeOrigin + startedMs,
    endedAt: performance.timeOrigin + nowMs,
    firstByteAt: outcome.firstByteAt?.getTime(),
    queueMs: sentMs > 0 ? sentMs - startedMs : undefined,
    overheadMs: sentMs > 0 ? sentMs - startedMs + (answeredMs > 0 ? nowMs - answeredMs : 0) : undefined,
    model: exchange.model,
    upstreamModel: target.upstreamModel,
    deploymentId: target.deployment.id,
    provider: target.deployment.provider,
    attempts: exchange.attempts,
    retries: course?.attemptedRetries ?? 0,
    fallbacks: course?.attemptedFallbacks ?? 0,
    usage: outcome.usage && clampUsage(outcome.usage),
    cost,
    totalCost: booked.totalCost,
    priceSource,
    principal,
    tags: exchange.charge.tags,
    customer: exchange.customer,
    requesterIp: context.deps.addressOf(exchange.request),
    parameters: numbersIn(asked.fields),
    trace: readTraceWishes(asked.fields, exchange.request.headers),
    bodies: bytes === undefined ? undefined : bodiesOf(exchange, relay?.delivered, bytes),
  };
}

function numbersIn(fields: Readonly<Record<string, unknown>>): Record<string, number> {
  const numbers: Record<string, number> = {};
  for (const name of parameters) {
    const value = fields[name];
    if (typeof value === 'number') numbers[name] = value;
  }
  return numbers;
}

/** Forms are files, and nothing of them is kept. */
function bodiesOf({ endpoint, body }: Exchange, response: string | undefined, bytes: number): CallBodies {
  const request = endpoint.takesForm || body.length === 0 ? undefined : textOf(body, bytes);
  return {
    request,
    isRequestCut: request !== undefined && body.length > bytes,
    response: response?.slice(0, bytes).toWellFormed(),
    isResponseCut: response !== undefined && response.length > bytes,
  };
}

/** A copy, so that a cut body does not keep all of it in memory. */
const textOf = (body: Buffer, bytes: number): string =>
  body
    .subarray(0, bytes)
    .toString()
    .replace(/\uFFFD+$/, '');
