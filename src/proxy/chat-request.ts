import { isUtf8 } from 'node:buffer';
import { GatewayError } from '../kernel/errors.ts';
import { type Survey, surveyJson } from '../kernel/json-survey.ts';
import type { ProxyLimits } from './limits.ts';
import { spliceJson } from './json-splice.ts';
import type { Members } from './json-splice.ts';
import { refuseHiddenUsage, refuseOverrides } from './overrides.ts';

/** What a client asked for, as far as the gateway needs to know. */
export interface ChatRequest {
  readonly fields: Readonly<Record<string, unknown>>;
  readonly model: string;
  readonly stream: boolean;
  /** Whether the client itself wants the usage chunk at the end of a stream. */
  readonly includeUsage: boolean;
  /** Of one answer. */
  readonly maxCompletionTokens: number | undefined;
  /** How many answers are asked for: `n`. */
  readonly answers: number;
  readonly serviceTier: string | undefined;
  readonly endUser: string | undefined;
  readonly tags: readonly string[];
  readonly bytes: Buffer;
  readonly survey: Survey;
}

const surveyed = new Set(['model', 'stream_options']);

const invalid = (message: string, param?: string, type = 'invalid_request_error'): GatewayError =>
  new GatewayError('invalid', type, message, { param });

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

function parse(bytes: Buffer): Record<string, unknown> {
  if (!isUtf8(bytes)) throw invalid('The request body is not valid UTF-8', undefined, 'invalid_json');
  let body: unknown;
  try {
    body = JSON.parse(bytes.toString());
  } catch (cause) {
    throw new GatewayError('invalid', 'invalid_json', 'The request body is not valid JSON', { cause });
  }
  if (!isRecord(body)) throw invalid('The request body must be a JSON object', undefined, 'invalid_json');
  return body;
}

/** @param path the model named in the request's path, which wins over the body's, as it does in LiteLLM */
export function readChatRequest(bytes: Buffer, path: string | undefined, limits: ProxyLimits): ChatRequest {
  const survey = surveyJson(bytes, surveyed, { depth: limits.bodyDepth, nodes: limits.bodyNodes });
  if (survey.depth > limits.bodyDepth)
    throw invalid(`The request body is nested more than ${limits.bodyDepth} levels deep`);
  if (survey.nodes > limits.bodyNodes) throw invalid(`The request body holds more than ${limits.bodyNodes} values`);

  const fields = parse(bytes);
  refuseOverrides(Object.keys(fields));
  const model = path ?? fields['model'];
  if (typeof model !== 'string' || model === '') throw missingModel(model);
  const { stream, stream_options: streamOptions, service_tier: serviceTier, user } = fields;
  if (stream != null && typeof stream !== 'boolean') throw invalid('stream must be true or false', 'stream');
  if (streamOptions != null && !isRecord(streamOptions)) {
    throw invalid('stream_options must be an object', 'stream_options');
  }
  if (streamOptions) refuseHiddenUsage(Object.keys(streamOptions));
  if (serviceTier != null && typeof serviceTier !== 'string') {
    throw invalid('service_tier must be a string', 'service_tier');
  }
  return {
    fields,
    model,
    stream: stream === true,
    includeUsage: streamOptions?.['include_usage'] === true,
    maxCompletionTokens: mostTokens(fields),
    answers: countOf(fields, 'n') ?? 1,
    serviceTier: serviceTier ?? undefined,
    endUser: (typeof user === 'string' && storable(user)) || undefined,
    tags: readTags(fields),
    bytes,
    survey,
  };
}

function missingModel(model: unknown): GatewayError {
  if (model === undefined || model === null || model === '') return invalid('model is required', 'model');
  return invalid('model must be a string', 'model');
}

/** LiteLLM's text, which its clients look for. */
export function unknownModel(model: string): GatewayError {
  const shown = model.length > 200 ? `${model.slice(0, 200)}…` : model;
  return invalid(
    `/chat/completions: Invalid model name passed in model=${shown}. Call \`/v1/models\` to view available models for your key.`,
    'model',
  );
}

/** Anything else an upstream may take for a number that we do not see: `"100000"`, or 1.5 rounded its own way. */
function countOf(fields: Readonly<Record<string, unknown>>, name: string): number | undefined {
  const value = fields[name];
  if (value === undefined || value === null) return undefined;
  if (typeof value === 'number' && value > 0 && Number.isSafeInteger(value)) return value;
  throw invalid(`${name} must be a positive whole number`, name);
}

/** Upstreams differ in which of the two they heed when both are there, so the larger one counts. */
function mostTokens(fields: Readonly<Record<string, unknown>>): number | undefined {
  const most = countOf(fields, 'max_completion_tokens');
  const older = countOf(fields, 'max_tokens');
  return most === undefined || older === undefined ? (most ?? older) : Math.max(most, older);
}

/** Of those a request names in each way: every one of them may have a budget that is looked up. */
const mostTags = 20;
const noTags: readonly string[] = [];

function readTags({ metadata, tags }: Record<string, unknown>): readonly string[] {
  const nested = isRecord(metadata) ? metadata['tags'] : undefined;
  if (!Array.isArray(tags) && !Array.isArray(nested)) return noTags;
  const given = [tags, nested].filter(Array.isArray).flat(1);
  return given.filter((tag): tag is string => typeof tag === 'string' && isTag(tag)).slice(0, mostTags);
}

/** Tags named in a header, with commas between them. */
export function tagsOf(header: string | readonly string[] | undefined): readonly string[] {
  if (typeof header !== 'string') return noTags;
  const tags = header.split(',').map((tag) => tag.trim());
  return tags.filter(isTag).slice(0, mostTags);
}

const longestName = 256;

const isTag = (tag: string): boolean => tag.length > 0 && tag.length <= longestName && tag === storable(tag);

/** As PostgreSQL can hold it, so that what is looked up under a name is what is booked under it. */
function storable(name: string): string {
  const isClean = name.length <= longestName && !name.includes('\0') && name.isWellFormed();
  return isClean ? name : name.slice(0, longestName).replaceAll('\0', '').toWellFormed();
}

/** The client's body for the upstream: another model name, and for a stream the usage we bill by. All else is kept. */
export function bodyFor(chat: ChatRequest, upstreamModel: string): Buffer {
  const { fields, survey, bytes } = chat;
  const members: Members = chat.stream
    ? [
        ['model', JSON.stringify(upstreamModel)],
        ['stream_options', streamOptionsFor(fields)],
      ]
    : [['model', JSON.stringify(upstreamModel)]];
  if (takesTagsOut(fields) || !canSplice(chat, members)) {
    const rest = withoutTags(fields);
    for (const [name, json] of members) rest[name] = JSON.parse(json);
    return Buffer.from(JSON.stringify(rest));
  }
  return spliceJson(bytes, survey, members);
}

/**
 * A name that occurs twice, or is spelled with escapes, could be read one way here and another way upstream: such a
 * body is written anew, with each name once.
 */
function canSplice({ fields, survey }: ChatRequest, members: Members): boolean {
  return (
    survey.members === Object.keys(fields).length &&
    members.every(([name]) => survey.values.has(name) || !Object.hasOwn(fields, name))
  );
}

function streamOptionsFor({ stream_options: given }: Readonly<Record<string, unknown>>): string {
  return isRecord(given) ? JSON.stringify({ ...given, include_usage: true }) : '{"include_usage":true}';
}

/** Tags are LiteLLM's, for its books; OpenAI refuses a request that has a list of them. */
const takesTagsOut = ({ metadata, tags }: Readonly<Record<string, unknown>>): boolean =>
  Array.isArray(tags) || (isRecord(metadata) && Array.isArray(metadata['tags']));

function withoutTags(fields: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const rest: Record<string, unknown> = { ...fields };
  if (Array.isArray(rest['tags'])) delete rest['tags'];
  if (!isRecord(rest['metadata']) || !Array.isArray(rest['metadata']['tags'])) return rest;
  const { tags: _, ...metadata } = rest['metadata'];
  rest['metadata'] = metadata;
  if (Object.keys(metadata).length === 0) delete rest['metadata'];
  return rest;
}
