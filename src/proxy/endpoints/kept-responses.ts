import { isRecord } from '../../kernel/record.ts';
import type { CallType } from '../../metering/call.ts';
import { readResponseId, unknownResponse } from '../response-ids.ts';
import type { Endpoint, ModelRequest, RequestSource } from './endpoint.ts';
import { invalid } from './json-request.ts';
import { renameResponse } from './response-names.ts';

/** What can be done with a response that an upstream keeps. It goes to the deployment that made the response. */
interface Deed {
  readonly callType: CallType;
  readonly method: 'GET' | 'DELETE' | 'POST';
  /** Behind the response's id. */
  readonly tail: string;
  /** Fields of the query that go upstream. */
  readonly query: readonly string[];
}

const noBytes = Buffer.alloc(0);

const include = ['include', 'include[]'];

/** https://platform.openai.com/docs/api-reference/responses/get */
export const getResponse = keptResponse({ callType: 'get_responses', method: 'GET', tail: '', query: include });

/** https://platform.openai.com/docs/api-reference/responses/delete */
export const deleteResponse = keptResponse({ callType: 'delete_responses', method: 'DELETE', tail: '', query: [] });

/** https://platform.openai.com/docs/api-reference/responses/cancel */
export const cancelResponse = keptResponse({
  callType: 'cancel_responses',
  method: 'POST',
  tail: '/cancel',
  query: [],
});

/** https://platform.openai.com/docs/api-reference/responses/input-items */
export const listInputItems = keptResponse({
  callType: 'list_input_items',
  method: 'GET',
  tail: '/input_items',
  query: [...include, 'after', 'before', 'limit', 'order'],
});

function keptResponse(deed: Deed): Endpoint {
  return {
    callType: deed.callType,
    path: '/responses',
    isFree: true,
    rename: renameResponse,
    read: (source) => readKept(source, deed),
    readAnswer: ({ error, object }) =>
      isRecord(error) && object === undefined
        ? undefined
        : { usage: undefined, serviceTier: undefined, written: () => '' },
    readUsage: () => undefined,
  };
}

/** Its usage was booked when it was made, so nothing of it is read here. */
function readKept({ parameter: id = '', url }: RequestSource, { method, tail, query }: Deed): ModelRequest {
  const kept = readResponseId(id);
  if (!kept) throw unknownResponse(id);
  return {
    fields: {},
    model: kept.model,
    stream: false,
    hidesUsage: true,
    maxCompletionTokens: 0,
    answers: 1,
    serviceTier: undefined,
    endUser: undefined,
    tags: [],
    response: { id, kept, unknown: unknownResponse },
    method,
    path: `/responses/${encodeURIComponent(kept.upstreamId)}${tail}${queryFrom(url, query)}`,
    contentType: 'application/json',
    bodyFor: () => noBytes,
  };
}

function queryFrom(url: string, names: readonly string[]): string {
  const given = new URLSearchParams(url.split('?')[1]);
  const passed = new URLSearchParams();
  for (const [name, value] of given) {
    // Only those in the background can be streamed once they have begun, and those are not served.
    if (name === 'stream' && value !== 'false') throw invalid('A response can be streamed when it is made only', name);
    if (names.includes(name)) passed.append(name, value);
  }
  return passed.size > 0 ? `?${passed.toString()}` : '';
}
