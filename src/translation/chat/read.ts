import type { JSONObject, LanguageModelV4CallOptions } from '@ai-sdk/provider';
import { isRecord } from '../../kernel/record.ts';
import type { ReadCall, ReadingRules } from '../client-protocol.ts';
import { readMessages } from './messages.ts';
import { type Fields, invalid, numberOf, Reading, recordOf, textOf } from './reading.ts';
import { effortOf, thinkingOf } from './thinking.ts';
import { isSchema, readToolChoice, readTools } from './tools.ts';

/** What is gathered of a request, besides its messages. */
type Draft = Partial<LanguageModelV4CallOptions> & { own?: JSONObject };

type Read = (value: unknown, reading: Reading, fields: Fields) => Draft | undefined;

const number =
  (option: 'temperature' | 'topP' | 'topK' | 'seed' | 'presencePenalty' | 'frequencyPenalty', name: string): Read =>
  (value) => ({ [option]: numberOf(value, name) });

/** For the gateway alone: they say how it is to answer, or whom it has it booked to. */
const forGateway: Read = () => undefined;

/** A member that may only have the value that changes nothing. */
const only =
  (name: string, ...usual: readonly unknown[]): Read =>
  (value, reading) => {
    if (!usual.includes(value)) reading.leaveOut(name);
    return undefined;
  };

const readers: Readonly<Record<string, Read>> = {
  model: forGateway,
  messages: forGateway,
  stream: forGateway,
  stream_options: forGateway,
  user: forGateway,
  metadata: forGateway,
  max_tokens: limit,
  max_completion_tokens: limit,
  temperature: number('temperature', 'temperature'),
  // Anthropic takes one of the two, and clients send the usual value of this one beside the other.
  top_p: (value, reading, { temperature }) =>
    reading.isAnthropic && value === 1 && temperature != null ? undefined : { topP: numberOf(value, 'top_p') },
  top_k: number('topK', 'top_k'),
  seed: number('seed', 'seed'),
  presence_penalty: number('presencePenalty', 'presence_penalty'),
  frequency_penalty: number('frequencyPenalty', 'frequency_penalty'),
  stop: (value) => ({ stopSequences: stopsOf(value) }),
  tools: (value, reading) => ({ tools: readTools(reading, value) }),
  tool_choice: (value, _, { tools }) => (tools == null ? undefined : { toolChoice: readToolChoice(value) }),
  parallel_tool_calls: parallelism,
  response_format: format,
  reasoning_effort: (value, reading) => effortOf(textOf(value, 'reasoning_effort'), reading),
  thinking: (value, reading, fields) => thinkingOf(recordOf(value, 'thinking'), reading, fields),
  n: only('n', 1),
  logprobs: only('logprobs', false),
  store: only('store', false),
  service_tier: only('service_tier', 'auto', 'default'),
};

/** A chat completion as every provider's package takes it. */
export function readChat(fields: Fields, rules: ReadingRules): ReadCall {
  const reading = new Reading(rules);
  const options: LanguageModelV4CallOptions = { prompt: readMessages(reading, fields['messages']) };
  const own: JSONObject = {};
  for (const [name, value] of Object.entries(fields)) {
    if (value === null || value === undefined) continue;
    const read = Object.hasOwn(readers, name) ? readers[name] : undefined;
    if (!read) {
      reading.leaveOut(name);
      continue;
    }
    const { own: more, ...draft } = read(value, reading, fields) ?? {};
    Object.assign(options, draft);
    Object.assign(own, more);
  }
  if (Object.keys(own).length > 0) options.providerOptions = reading.own(own);
  return { options, dropped: reading.dropped };
}

/** Of the two names the larger counts, as where the answer is paid for. */
function limit(_: unknown, __: Reading, { max_tokens: older, max_completion_tokens: newer }: Fields): Draft {
  const given = [older, newer].filter((each) => each != null).map((each) => numberOf(each, 'max_tokens'));
  return { maxOutputTokens: Math.max(...given) };
}

function stopsOf(value: unknown): string[] {
  const stops: readonly unknown[] = Array.isArray(value) ? value : [value];
  return stops.map((each) => textOf(each, 'stop'));
}

function parallelism(value: unknown, reading: Reading, { tools }: Fields): Draft | undefined {
  if (value === true || tools == null) return undefined;
  if (value !== false) throw invalid('parallel_tool_calls must be true or false', 'parallel_tool_calls');
  if (reading.isAnthropic) return { own: { disableParallelToolUse: true } };
  reading.leaveOut('parallel_tool_calls');
  return undefined;
}

function format(value: unknown, reading: Reading): Draft | undefined {
  const { type, json_schema: described } = recordOf(value, 'response_format');
  if (type === 'text') return undefined;
  if (type === 'json_object') return { responseFormat: { type: 'json' } };
  if (type !== 'json_schema' || !isRecord(described)) {
    reading.leaveOut('response_format', 'Its type is text, json_object or json_schema.');
    return undefined;
  }
  const { schema, name, description } = described;
  if (!isSchema(schema)) throw invalid('response_format.json_schema.schema is missing', 'response_format');
  return {
    responseFormat: {
      type: 'json',
      schema,
      ...(name != null && { name: textOf(name, 'response_format.json_schema.name') }),
      ...(description != null && { description: textOf(description, 'response_format.json_schema.description') }),
    },
  };
}
