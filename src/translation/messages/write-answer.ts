import type { LanguageModelV4Content, LanguageModelV4GenerateResult, LanguageModelV4ToolCall } from '@ai-sdk/provider';
import { GatewayError } from '../../kernel/errors.ts';
import { isRecord } from '../../kernel/record.ts';
import type { AnswerNames } from '../client-protocol.ts';
import { endingOf, failed } from '../ending.ts';
import { messageUsage } from './message-usage.ts';
import { stopOf } from './stop-reason.ts';
import { signatureOfCall, signedBy } from './thought-signatures.ts';

type Block = Readonly<Record<string, unknown>>;

/** @throws GatewayError 502 for what is no answer, or none that Anthropic's protocol can tell */
export function writeAnswer(
  { content, finishReason, usage, providerMetadata }: LanguageModelV4GenerateResult,
  names: AnswerNames,
): Readonly<Record<string, unknown>> {
  const hasCalls = content.some(({ type }) => type === 'tool-call');
  const stop = stopOf({ finishReason, providerMetadata, hasCalls });
  if (!stop) throw failed(finishReason);
  const isCut = endingOf(finishReason) === 'length';
  const blocks = inOrder(content).flatMap((each, index) => blocksOf(each, isCut && index === content.length - 1));
  return { ...messageFrame(names), content: blocks, ...stop, usage: messageUsage(usage) };
}

const isUnsignedThought = (content: LanguageModelV4Content): boolean =>
  content.type === 'reasoning' && content.providerMetadata === undefined;

/** Thoughts come before what they led to; a package may put them behind it. Those that are signed stay where they were. */
const inOrder = (content: readonly LanguageModelV4Content[]): readonly LanguageModelV4Content[] => [
  ...content.filter(isUnsignedThought),
  ...content.filter((each) => !isUnsignedThought(each)),
];

/** @param isCut whether the model was stopped while it wrote this */
function blocksOf(content: LanguageModelV4Content, isCut: boolean): Block[] {
  switch (content.type) {
    case 'text':
      return content.text === '' ? [] : [{ type: 'text', text: content.text, citations: null }];
    case 'reasoning': {
      const { redacted, signature = '' } = signedBy(content.providerMetadata);
      if (redacted !== undefined) return [{ type: 'redacted_thinking', data: redacted }];
      return [{ type: 'thinking', thinking: content.text, signature }];
    }
    case 'tool-call':
      return callBlocks(content, isCut);
    case 'file':
    case 'reasoning-file':
      throw untold('a file');
    // Where something was found, and remarks of the provider: nothing that the model has said.
    case 'source':
    case 'custom':
    case 'tool-result':
    case 'tool-approval-request':
      break;
  }
  return [];
}

function callBlocks(call: LanguageModelV4ToolCall, isCut: boolean): Block[] {
  const { toolCallId: id, toolName: name, providerMetadata } = call;
  const input = inputOf(call.input);
  // One that was cut is left out: to make up an input would have a client do what no model asked for.
  if (!input && isCut) return [];
  if (!input) throw noInput(name);
  const data = signatureOfCall(id, providerMetadata);
  const block = { type: 'tool_use', id, name, input, caller: { type: 'direct' } };
  return data === undefined ? [block] : [{ type: 'redacted_thinking', data }, block];
}

/** A call without arguments comes as nothing from some servers. */
function inputOf(json: string): Readonly<Record<string, unknown>> | undefined {
  if (json.trim() === '') return {};
  try {
    const input: unknown = JSON.parse(json);
    return isRecord(input) ? input : input === null ? {} : undefined;
  } catch (cause) {
    if (cause instanceof SyntaxError) return undefined;
    throw cause;
  }
}

/** Of a message, in the order in which Anthropic has its members. */
export const messageFrame = ({ id, model }: AnswerNames) => ({
  id: id.startsWith('msg_') ? id : `msg_${id}`,
  type: 'message',
  role: 'assistant',
  model,
});

/** Clients take the part of an input that came for all of it. */
export const noInput = (tool: string): GatewayError =>
  new GatewayError('upstream', 'invalid_answer', `The model called ${tool} with an input that is no JSON object`, {
    hint: 'Try again, or give the model more max_tokens.',
  });

export const untold = (what: string): GatewayError =>
  new GatewayError(
    'upstream',
    'unsupported_answer',
    `The model answered with ${what}, which Anthropic's protocol cannot tell`,
    {
      hint: 'Call the model by /v1/chat/completions, or ask it for text.',
    },
  );
