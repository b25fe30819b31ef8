import type { IncomingHttpHeaders } from 'node:http';
import { isRecord } from '../kernel/record.ts';
import type { TraceWishes } from './call-event.ts';

/** LiteLLM's names in a request's `metadata`, and with `langfuse_` before them as headers. */
const names = {
  traceId: 'trace_id',
  existingTraceId: 'existing_trace_id',
  traceName: 'trace_name',
  traceUserId: 'trace_user_id',
  sessionId: 'session_id',
  generationName: 'generation_name',
  parentObservationId: 'parent_observation_id',
  traceVersion: 'trace_version',
  traceRelease: 'trace_release',
} as const satisfies Record<Exclude<keyof TraceWishes, 'traceparent'>, string>;
const entries = Object.entries(names);

/** Headers of LiteLLM that say the same to every callback. */
const everywhere: Readonly<Record<string, string>> = {
  trace_id: 'x-litellm-trace-id',
  session_id: 'x-litellm-session-id',
};

/** As much of a client's text as anybody gets. */
const longest = 200;
const traceparent = /^[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}$/;

const textOf = (value: unknown): string | undefined =>
  typeof value === 'string' && value !== '' ? value.slice(0, longest).toWellFormed() : undefined;

/** What a client says of its trace: a header wins over the body's `litellm_metadata`, and that over its `metadata`. */
export function readTraceWishes(fields: Readonly<Record<string, unknown>>, headers: IncomingHttpHeaders): TraceWishes {
  const { metadata, litellm_metadata: own } = fields;
  const given = { ...(isRecord(metadata) && metadata), ...(isRecord(own) && own) };
  const wishes: Record<string, string> = {};
  for (const [wish, name] of entries) {
    const text = textOf(headers[`langfuse_${name}`]) ?? textOf(headers[everywhere[name] ?? '']) ?? textOf(given[name]);
    if (text !== undefined) wishes[wish] = text;
  }
  const { traceparent: parent } = headers;
  if (typeof parent === 'string' && traceparent.test(parent)) wishes['traceparent'] = parent;
  return wishes;
}
