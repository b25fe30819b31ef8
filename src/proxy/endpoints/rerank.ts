import { isRecord } from '../../kernel/record.ts';
import type { Units } from '../../metering/units.ts';
import type { Usage } from '../../metering/usage.ts';
import type { Endpoint, RequestSource } from './endpoint.ts';
import { invalid, JsonRequest, modelOf, readJson } from './json-request.ts';
import { unitsOnly } from './media-usage.ts';

/** Documents put in order for a query, in Cohere's shape (https://docs.cohere.com/reference/rerank). */
export const rerank: Endpoint = {
  callType: 'rerank',
  path: '/rerank',
  read: readRerank,
  unitsOf,
  readAnswer: ({ results, meta, usage }) =>
    Array.isArray(results) ? { usage: { meta, usage }, serviceTier: undefined, written: () => '' } : undefined,
  readUsage,
};

function readRerank(source: RequestSource): JsonRequest {
  const body = readJson(source);
  const { fields } = body;
  if (typeof fields['query'] !== 'string') throw invalid('query must be a string', 'query');
  const { documents } = fields;
  if (!Array.isArray(documents) || documents.length === 0) throw invalid('documents must be a list', 'documents');
  return new JsonRequest(body, modelOf(fields, source.parameter), { maxCompletionTokens: 0, units: unitsOf(fields) });
}

/** Cohere counts a search for each hundred documents that were begun; long documents count as several. */
const documentsInSearch = 100;

function unitsOf({ documents }: Readonly<Record<string, unknown>>): Units {
  const count = Array.isArray(documents) ? documents.length : 0;
  return { queries: Math.max(1, Math.ceil(count / documentsInSearch)) };
}

const number = (value: unknown): number | undefined => (typeof value === 'number' ? value : undefined);
const record = (value: unknown): Readonly<Record<string, unknown>> => (isRecord(value) ? value : {});

/** Cohere reports in `meta`, and servers that count tokens (vLLM, Jina) in `usage`. */
function readUsage(reported: unknown): Usage | undefined {
  const { meta, usage } = record(reported);
  const billed = record(record(meta)['billed_units']);
  const counted = record(record(meta)['tokens']);
  const queries = number(billed['search_units']);
  const tokens =
    number(billed['input_tokens']) ??
    number(counted['input_tokens']) ??
    number(record(usage)['prompt_tokens']) ??
    number(record(usage)['total_tokens']) ??
    number(billed['total_tokens']);
  if (queries === undefined && tokens === undefined) return undefined;
  return { ...unitsOnly(queries === undefined ? {} : { queries }), promptTokens: tokens ?? 0 };
}
