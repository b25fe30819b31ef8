import { GatewayError } from '../../kernel/errors.ts';
import { isRecord } from '../../kernel/record.ts';
import { clampUsage, type Usage } from '../../metering/usage.ts';
import { responseEvents } from '../events/response-events.ts';
import { readResponseId, unknownPrevious } from '../response-ids.ts';
import type { Endpoint, NamedResponse, PlainReading, RequestSource } from './endpoint.ts';
import { countOf, invalid, JsonRequest, modelOf, readJson } from './json-request.ts';
import { renameResponse } from './response-names.ts';
import { toolsAllowed, toolUsesIn, withToolUses } from './server-tools.ts';

/** OpenAI's responses (https://platform.openai.com/docs/api-reference/responses). */
export const responses: Endpoint = {
  callType: 'responses',
  path: '/responses',
  events: responseEvents,
  rename: renameResponse,
  read: readResponses,
  readAnswer,
  readUsage,
  toolUsesOf: toolsAllowed,
};

function readResponses(source: RequestSource): JsonRequest {
  const body = readJson(source);
  const { fields } = body;
  const model = modelOf(fields, source.parameter);
  const { stream } = fields;
  if (stream != null && typeof stream !== 'boolean') throw invalid('stream must be true or false', 'stream');
  refuseUnbooked(fields);
  const response = previousIn(fields);
  return new JsonRequest(body, model, {
    stream: stream === true,
    maxCompletionTokens: countOf(fields, 'max_output_tokens'),
    toolUses: toolsAllowed(fields),
    response,
    ...(response && { members: [['previous_response_id', JSON.stringify(response.kept.upstreamId)]] }),
  });
}

/**
 * A response in the background ends when nobody is there to book it. A conversation is the provider's, and whose it is
 * among those who share the operator's account nobody here could tell.
 */
function refuseUnbooked({ background, conversation }: Readonly<Record<string, unknown>>): void {
  if (background != null && background !== false) {
    throw new GatewayError(
      'invalid',
      'unsupported_field',
      'background is not served: such a response cannot be booked',
      {
        param: 'background',
        hint: 'Leave background out, and stream the response if it takes long.',
      },
    );
  }
  if (conversation === undefined || conversation === null) return;
  throw new GatewayError('invalid', 'unsupported_field', 'conversation is not served', {
    param: 'conversation',
    hint: 'Continue a response by previous_response_id, or send what was said in input.',
  });
}

function previousIn({ previous_response_id: id }: Readonly<Record<string, unknown>>): NamedResponse | undefined {
  if (id === undefined || id === null) return undefined;
  if (typeof id !== 'string') throw invalid('previous_response_id must be a string', 'previous_response_id');
  const kept = readResponseId(id);
  if (!kept) throw unknownPrevious(id);
  return { id, kept, unknown: unknownPrevious };
}

function readAnswer(answer: Readonly<Record<string, unknown>>): PlainReading | undefined {
  const { object, output, usage, service_tier: serviceTier } = answer;
  if (object !== 'response' || !Array.isArray(output)) return undefined;
  return {
    usage: withToolUses({ output, usage }),
    serviceTier,
    written: () => output.filter(isRecord).map(writtenIn).join(''),
  };
}

/** Everything a model wrote in an item: text, refusals, summaries of its reasoning, the arguments of tools. */
function writtenIn({ content, summary, arguments: given }: Record<string, unknown>): string {
  const parts = [content, summary].filter(Array.isArray).flat().filter(isRecord);
  const texts = parts.flatMap(({ text, refusal }) => [text, refusal]).concat(given);
  return texts.filter((text) => typeof text === 'string').join('');
}

const details = (value: unknown): Record<string, unknown> => (isRecord(value) ? value : {});

const count = (value: unknown): number => (typeof value === 'number' ? value : 0);

function readUsage(reported: unknown): Usage | undefined {
  if (!isRecord(reported)) return undefined;
  const { input_tokens: promptTokens, output_tokens: completionTokens } = reported;
  if (typeof promptTokens !== 'number' || typeof completionTokens !== 'number') return undefined;
  const units = toolUsesIn(reported);
  return clampUsage({
    promptTokens,
    completionTokens,
    cacheReadTokens: count(details(reported['input_tokens_details'])['cached_tokens']),
    cacheWriteTokens: 0,
    reasoningTokens: count(details(reported['output_tokens_details'])['reasoning_tokens']),
    audioInputTokens: 0,
    audioOutputTokens: 0,
    estimated: false,
    ...(units && { units }),
  });
}
