import type { IncomingHttpHeaders } from 'node:http';
import { GatewayError } from '../../kernel/errors.ts';
import { isRecord } from '../../kernel/record.ts';
import { clampUsage, type Usage } from '../../metering/usage.ts';
import { messageEvents } from '../events/message-events.ts';
import type { Endpoint, PlainReading, RequestSource } from './endpoint.ts';
import { countOf, invalid, JsonRequest, modelOf, readJson } from './json-request.ts';
import { messagesError, servedTier, ThreadRefused } from './messages-protocol.ts';
import { searchesAllowed, searchesIn } from './server-tools.ts';

/** Anthropic's messages (https://docs.anthropic.com/en/api/messages). */
export const messages: Endpoint = {
  callType: 'anthropic_messages',
  path: '/messages',
  protocol: 'anthropic',
  events: messageEvents,
  errorBody: messagesError,
  read: readMessages,
  toolUsesOf: searchesAllowed,
  readAnswer,
  readUsage,
};

/** How long a message would be (https://docs.anthropic.com/en/api/messages-count-tokens), which Anthropic tells for nothing. */
export const countTokens: Endpoint = {
  callType: 'count_tokens',
  path: '/messages/count_tokens',
  protocol: 'anthropic',
  isFree: true,
  errorBody: messagesError,
  read: readCountTokens,
  readAnswer: ({ input_tokens: tokens }) =>
    typeof tokens === 'number' ? { usage: undefined, serviceTier: undefined, written: () => '' } : undefined,
  readUsage: () => undefined,
};

function readMessages(source: RequestSource): JsonRequest {
  const body = readJson(source);
  const { fields } = body;
  const model = modelOf(fields, source.parameter);
  const { stream, metadata } = fields;
  if (stream != null && typeof stream !== 'boolean') throw invalid('stream must be true or false', 'stream');
  // Anthropic wants it as much as the reservation does.
  const maxCompletionTokens = countOf(fields, 'max_tokens');
  if (maxCompletionTokens === undefined) throw invalid('max_tokens is required', 'max_tokens');
  refuseDearer(fields);
  if (fields['thread'] != null) throw new ThreadRefused();
  return new JsonRequest(body, model, {
    stream: stream === true,
    maxCompletionTokens,
    toolUses: searchesAllowed(fields),
    endUser: isRecord(metadata) ? metadata['user_id'] : undefined,
    serviceTier: askedTier(fields['service_tier']),
    headers: versionHeaders(source.headers),
  });
}

function readCountTokens(source: RequestSource): JsonRequest {
  const body = readJson(source);
  return new JsonRequest(body, modelOf(body.fields, source.parameter), {
    maxCompletionTokens: 0,
    serviceTier: undefined,
    headers: versionHeaders(source.headers),
  });
}

/** What raises the price of every token by a factor that no price list here knows: it would be served below what it costs. */
export function refuseDearer(fields: Readonly<Record<string, unknown>>): void {
  const usual: Readonly<Record<string, string>> = { speed: 'standard', inference_geo: 'global' };
  for (const [name, value] of Object.entries(usual)) {
    const given = fields[name];
    if (given === undefined || given === null || given === value) continue;
    throw new GatewayError('invalid', 'unsupported_field', `${name} can only be ${value} here`, {
      param: name,
      hint: `Leave ${name} out: what it changes has a price of its own, which this gateway cannot book.`,
    });
  }
}

function askedTier(tier: unknown): string | undefined {
  if (tier === undefined || tier === null) return undefined;
  if (typeof tier !== 'string') throw invalid('service_tier must be a string', 'service_tier');
  return tier === 'standard_only' ? 'default' : tier;
}

const usualVersion = '2023-06-01';
const version = /^\d{4}-\d{2}-\d{2}$/;
/** Names of features with commas between them; several lines of one header come as one. */
const features = /^[\w.-]{1,64}(?:\s*,\s*[\w.-]{1,64}){0,31}$/;

/** The only two headers of a client that reach Anthropic: which edition of the protocol it speaks, and with what besides. */
function versionHeaders(headers: IncomingHttpHeaders): readonly string[] {
  const { 'anthropic-version': asked = usualVersion, 'anthropic-beta': beta } = headers;
  if (typeof asked !== 'string' || !version.test(asked)) {
    throw invalid('anthropic-version must be a date, such as 2023-06-01', 'anthropic-version');
  }
  if (beta === undefined || beta === '') return ['anthropic-version', asked];
  if (typeof beta !== 'string' || !features.test(beta)) {
    throw invalid('anthropic-beta must be names with commas between them', 'anthropic-beta');
  }
  return ['anthropic-version', asked, 'anthropic-beta', beta];
}

function readAnswer({ type, content, usage }: Readonly<Record<string, unknown>>): PlainReading | undefined {
  if (type !== 'message' || !Array.isArray(content)) return undefined;
  return {
    usage,
    serviceTier: servedTier(isRecord(usage) ? usage['service_tier'] : undefined),
    written: () => content.filter(isRecord).map(writtenIn).join(''),
  };
}

/** Everything a model wrote in a block: text, thoughts, the input of tools. */
function writtenIn({ text, thinking, input }: Record<string, unknown>): string {
  const texts = [text, thinking].filter((each) => typeof each === 'string').join('');
  return isRecord(input) ? texts + JSON.stringify(input) : texts;
}

const count = (value: unknown): number => (typeof value === 'number' ? value : 0);

/** Anthropic's input comes in three parts that do not overlap: read from a cache, written to one, and the rest. */
function readUsage(reported: unknown): Usage | undefined {
  if (!isRecord(reported)) return undefined;
  const {
    input_tokens: input,
    output_tokens: completionTokens,
    cache_creation: creation,
    output_tokens_details: details,
  } = reported;
  if (typeof input !== 'number' || typeof completionTokens !== 'number') return undefined;
  const units = searchesIn(reported);
  const cacheReadTokens = count(reported['cache_read_input_tokens']);
  const cacheWriteTokens = count(reported['cache_creation_input_tokens']);
  const promptTokens = input + cacheReadTokens + cacheWriteTokens;
  // No message is without input: zero stands where nobody has counted, as at the start of a translated stream.
  if (promptTokens === 0) return undefined;
  return clampUsage({
    promptTokens,
    completionTokens,
    cacheReadTokens,
    cacheWriteTokens,
    cacheWriteHourTokens: isRecord(creation) ? count(creation['ephemeral_1h_input_tokens']) : 0,
    reasoningTokens: isRecord(details) ? count(details['thinking_tokens']) : 0,
    audioInputTokens: 0,
    audioOutputTokens: 0,
    estimated: false,
    ...(units && { units }),
  });
}
