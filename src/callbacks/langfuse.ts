import { z } from 'zod';
import { toDollars } from '../kernel/money.ts';
import { type CallEvent, isSuccess } from './call-event.ts';
import type { Delivery, Destination } from './destination.ts';
import { shownBodies, tokensOf } from './payload.ts';
import { deliveryOf, type Post, type Posted, type Target } from './post.ts';

export interface LangfuseSettings extends Pick<Target, 'allowed'>, Pick<Destination, 'name' | 'wants' | 'hasBodies'> {
  /** Such as https://cloud.langfuse.com. */
  readonly host: string;
  readonly publicKey: string;
  readonly secretKey: string;
}

/** Two events for each call, in one request of at most 3.5 MB. */
const callsInBatch = 50;

/** Langfuse's ingestion API: a trace for each call, or for all that name the same, and a generation in it. */
export function langfuse(settings: LangfuseSettings, post: Post): Destination {
  const { name, wants, hasBodies, host, publicKey, secretKey, allowed } = settings;
  const url = `${host.replace(/\/+$/, '')}/api/public/ingestion`;
  const headers = {
    'content-type': 'application/json',
    authorization: `Basic ${Buffer.from(`${publicKey}:${secretKey}`).toString('base64')}`,
    'x-langfuse-public-key': publicKey,
  };
  return {
    name,
    wants,
    hasBodies,
    batchSize: callsInBatch,
    async deliver(batch, signal) {
      const events = batch.flatMap((event) => [traceOf(event, hasBodies), generationOf(event, hasBodies)]);
      const posted = await post({ url, allowed }, { headers, body: JSON.stringify({ batch: events }), signal });
      return posted.status === 207 ? partly(batch, posted) : deliveryOf(posted);
    },
  };
}

const answered = z.object({ errors: z.array(z.object({ id: z.string(), status: z.int() })) });

/** Langfuse answers 207 to all it could read, and says of each event whether it took it. */
function partly(batch: readonly CallEvent[], { body }: Posted): Delivery {
  const errors = answered.safeParse(parse(body)).data?.errors ?? [];
  if (errors.length === 0) return { outcome: 'delivered' };
  // What it has taken already is known to it by its id, and not taken twice.
  const passing = errors.find(({ status }) => status >= 500 || status === 429);
  if (passing) return { outcome: 'failed', reason: `HTTP 207, and ${passing.status} of an event` };
  const ids = new Set(errors.map(({ id }) => id));
  const refused = batch.filter((event) => ids.has(idOf(event, 'trace')) || ids.has(idOf(event, 'generation')));
  return { outcome: 'partly', refused, reason: `HTTP 207, and ${errors[0]?.status} of an event` };
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // Longer than what is read of it, or a proxy's.
    return undefined;
  }
}

/** The same at each attempt: Langfuse knows by it what it has. */
const idOf = ({ requestId }: CallEvent, part: 'trace' | 'generation'): string => `${requestId}-${part}`;

const iso = (ms: number): string => new Date(ms).toISOString();

const traceIdOf = ({ trace, requestId }: CallEvent): string => trace.existingTraceId ?? trace.traceId ?? requestId;

function contentOf({ bodies }: CallEvent, hasBodies: boolean) {
  if (!hasBodies || !bodies) return {};
  const { request, response } = shownBodies(bodies);
  return { input: request, output: response };
}

function traceOf(event: CallEvent, hasBodies: boolean) {
  const { trace, principal, startedAt } = event;
  const isOurs = trace.existingTraceId === undefined;
  return {
    id: idOf(event, 'trace'),
    type: 'trace-create',
    timestamp: iso(startedAt),
    body: {
      id: traceIdOf(event),
      timestamp: iso(startedAt),
      // Of a trace that is there already, what it is called and whose it is stays as it was.
      ...(isOurs && {
        name: trace.traceName ?? `litellm-${event.callType}`,
        userId: trace.traceUserId ?? event.customer ?? principal.userId ?? undefined,
        ...contentOf(event, hasBodies),
      }),
      sessionId: trace.sessionId,
      release: trace.traceRelease,
      version: trace.traceVersion,
      tags: event.tags,
      metadata: { request_id: event.requestId },
    },
  };
}

function generationOf(event: CallEvent, hasBodies: boolean) {
  const { trace, principal, usage, startedAt, endedAt, firstByteAt } = event;
  return {
    id: idOf(event, 'generation'),
    type: 'generation-create',
    timestamp: iso(endedAt),
    body: {
      id: event.requestId,
      traceId: traceIdOf(event),
      name: trace.generationName ?? `litellm-${event.callType}`,
      startTime: iso(startedAt),
      endTime: iso(endedAt),
      completionStartTime: firstByteAt === undefined ? undefined : iso(firstByteAt),
      model: event.upstreamModel,
      modelParameters: event.parameters,
      parentObservationId: trace.parentObservationId,
      version: trace.traceVersion,
      level: isSuccess(event) ? 'DEFAULT' : 'ERROR',
      statusMessage: event.errorType,
      ...(usage && {
        usageDetails: {
          ...bucketsOf(tokensOf(usage), usage),
          total: usage.promptTokens + usage.completionTokens,
        },
      }),
      // Without a price Langfuse may know one.
      ...(event.priceSource !== 'unpriced' && { costDetails: { total: toDollars(event.totalCost) } }),
      ...contentOf(event, hasBodies),
      metadata: {
        model_group: event.model,
        model_id: event.deploymentId,
        provider: event.provider,
        attempts: event.attempts,
        http_status: event.httpStatus,
        is_interrupted: event.status === 'interrupted',
        user_api_key_alias: principal.alias,
        user_api_key_team_id: principal.teamId,
        user_api_key_team_alias: principal.teamAlias,
        user_api_key_user_id: principal.userId,
      },
    },
  };
}

/** Langfuse adds buckets up, so that each token must be in one only. */
function bucketsOf(
  details: Readonly<Record<string, number>>,
  { promptTokens, completionTokens }: NonNullable<CallEvent['usage']>,
): Record<string, number> {
  let input = promptTokens;
  let output = completionTokens;
  for (const [name, tokens] of Object.entries(details)) {
    if (/input/.test(name)) input -= tokens;
    else output -= tokens;
  }
  return { input, output, ...details };
}
