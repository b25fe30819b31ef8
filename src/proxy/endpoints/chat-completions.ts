import { isRecord } from '../../kernel/record.ts';
import { refuseHiddenUsage } from '../overrides.ts';
import type { Endpoint, PlainReading, RequestSource } from './endpoint.ts';
import { countOf, invalid, JsonRequest, modelOf, readJson } from './json-request.ts';
import { searchesOfChat } from './server-tools.ts';
import { readTokens } from './token-usage.ts';

/** OpenAI's chat completions (https://platform.openai.com/docs/api-reference/chat). */
export const chatCompletions: Endpoint = {
  callType: 'chat_completion',
  path: '/chat/completions',
  read: readCompletion,
  readAnswer: (answer) => readingOf(answer, writtenInMessage),
  readUsage: readTokens,
};

/** OpenAI's older completions of a text (https://platform.openai.com/docs/api-reference/completions). */
export const completions: Endpoint = {
  callType: 'text_completion',
  path: '/completions',
  read: readCompletion,
  readAnswer: (answer) => readingOf(answer, writtenAsText),
  readUsage: readTokens,
};

function readCompletion(source: RequestSource): JsonRequest {
  const body = readJson(source);
  const { fields } = body;
  const model = modelOf(fields, source.parameter);
  const { stream, stream_options: streamOptions } = fields;
  if (stream != null && typeof stream !== 'boolean') throw invalid('stream must be true or false', 'stream');
  if (streamOptions != null && !isRecord(streamOptions)) {
    throw invalid('stream_options must be an object', 'stream_options');
  }
  if (streamOptions) refuseHiddenUsage(Object.keys(streamOptions));
  const isStream = stream === true;
  const answers = answersOf(fields);
  return new JsonRequest(body, model, {
    stream: isStream,
    hidesUsage: streamOptions?.['include_usage'] !== true,
    maxCompletionTokens: mostTokens(fields),
    answers,
    units: searchesOfChat(fields, answers),
    ...(isStream && { members: [['stream_options', streamOptionsFor(streamOptions)]] }),
  });
}

/** `best_of` answers are written, and paid for, of which `n` are sent. Prompts may be several at once. */
export function answersOf(fields: Readonly<Record<string, unknown>>): number {
  const answers = Math.max(countOf(fields, 'n') ?? 1, countOf(fields, 'best_of') ?? 1);
  const { prompt } = fields;
  const isSeveral = Array.isArray(prompt) && typeof prompt[0] !== 'number';
  return isSeveral ? answers * Math.max(1, prompt.length) : answers;
}

/** Upstreams differ in which of the two they heed when both are there, so the larger one counts. */
function mostTokens(fields: Readonly<Record<string, unknown>>): number | undefined {
  const most = countOf(fields, 'max_completion_tokens');
  const older = countOf(fields, 'max_tokens');
  return most === undefined || older === undefined ? (most ?? older) : Math.max(most, older);
}

/** For a stream the usage we bill by. */
const streamOptionsFor = (given: unknown): string =>
  isRecord(given) ? JSON.stringify({ ...given, include_usage: true }) : '{"include_usage":true}';

function readingOf(
  { choices, usage, service_tier: serviceTier }: Readonly<Record<string, unknown>>,
  writtenIn: (choice: Record<string, unknown>) => string,
): PlainReading | undefined {
  if (!Array.isArray(choices)) return undefined;
  return { usage, serviceTier, written: () => choices.filter(isRecord).map(writtenIn).join('') };
}

/** Everything a model wrote in a choice: text, reasoning, the arguments of tools. */
function writtenInMessage({ message }: Record<string, unknown>): string {
  if (!isRecord(message)) return '';
  const texts = [message['content'], message['reasoning_content'], message['refusal']];
  const tools = message['tool_calls'];
  return (
    texts.filter((text) => typeof text === 'string').join('') + (Array.isArray(tools) ? JSON.stringify(tools) : '')
  );
}

const writtenAsText = ({ text }: Record<string, unknown>): string => (typeof text === 'string' ? text : '');
