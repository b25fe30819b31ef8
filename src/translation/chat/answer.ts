import type {
  LanguageModelV4Content,
  LanguageModelV4FinishReason,
  LanguageModelV4GenerateResult,
  SharedV4ProviderMetadata,
} from '@ai-sdk/provider';
import type { AnswerNames } from '../client-protocol.ts';
import { type Ending, endingOf, failed } from '../ending.ts';
import { usageFor } from './usage.ts';

const finishReasons: Readonly<Record<Exclude<Ending, 'error'>, string>> = {
  stop: 'stop',
  length: 'length',
  'content-filter': 'content_filter',
  'tool-calls': 'tool_calls',
};

/** @throws GatewayError 502 where the model did not come to an end: OpenAI's protocol has no word for that */
export function finishReasonOf(reason: LanguageModelV4FinishReason): string {
  const ending = endingOf(reason);
  if (ending === 'error') throw failed(reason);
  return finishReasons[ending];
}

/** What a provider has told of a part under whatever name it has for itself. */
export function metadataOf(metadata: SharedV4ProviderMetadata | undefined, name: string): string | undefined {
  const found = Object.values(metadata ?? {}).map((own) => own[name]);
  return found.find((value) => typeof value === 'string');
}

/** A thought in LiteLLM's form of Anthropic's, where it is one that its provider wants back; undefined where it is not. */
export function thinkingBlock(text: string, metadata: SharedV4ProviderMetadata | undefined): object | undefined {
  const signature = metadataOf(metadata, 'signature');
  if (signature !== undefined) return { type: 'thinking', thinking: text, signature };
  const data = metadataOf(metadata, 'redactedData');
  return data === undefined ? undefined : { type: 'redacted_thinking', data };
}

/** Google wants its signature back with the call that it came with: under LiteLLM's name for it, and under Google's own. */
export function signatureMember(metadata: SharedV4ProviderMetadata | undefined): object {
  const signature = metadataOf(metadata, 'thoughtSignature');
  if (signature === undefined) return {};
  return {
    provider_specific_fields: { thought_signature: signature },
    extra_content: { google: { thought_signature: signature } },
  };
}

type FilePart = Extract<LanguageModelV4Content, { readonly type: 'file' }>;

/** A picture in LiteLLM's form; undefined for a file of another kind, for which there is none. */
export function imageMember({ mediaType, data }: FilePart, index: number): object | undefined {
  if (!mediaType.startsWith('image/')) return undefined;
  if (data.type === 'url') return { type: 'image_url', image_url: { url: String(data.url) }, index };
  const base64 = typeof data.data === 'string' ? data.data : Buffer.from(data.data).toString('base64');
  return { type: 'image_url', image_url: { url: `data:${mediaType};base64,${base64}` }, index };
}

/** A whole chat completion. */
export function chatAnswer(result: LanguageModelV4GenerateResult, { id, model, created }: AnswerNames) {
  const usage = usageFor(result.usage);
  const choice = { index: 0, message: messageOf(result.content), logprobs: null };
  return {
    id: `chatcmpl-${id}`,
    object: 'chat.completion',
    created,
    model,
    choices: [{ ...choice, finish_reason: finishReasonOf(result.finishReason) }],
    ...(usage && { usage }),
  };
}

function messageOf(content: readonly LanguageModelV4Content[]) {
  const text = content.map((part) => (part.type === 'text' ? part.text : '')).join('');
  const reasoning = content.map((part) => (part.type === 'reasoning' ? part.text : '')).join('');
  const blocks = content.flatMap((part) =>
    part.type === 'reasoning' ? (thinkingBlock(part.text, part.providerMetadata) ?? []) : [],
  );
  const images = content.filter((part) => part.type === 'file').flatMap((part, at) => imageMember(part, at) ?? []);
  const calls = content.flatMap((part) =>
    part.type === 'tool-call'
      ? {
          id: part.toolCallId,
          type: 'function',
          function: { name: part.toolName, arguments: part.input },
          ...signatureMember(part.providerMetadata),
        }
      : [],
  );
  return {
    role: 'assistant',
    content: text === '' && calls.length > 0 ? null : text,
    refusal: null,
    ...(reasoning !== '' && { reasoning_content: reasoning }),
    ...(blocks.length > 0 && { thinking_blocks: blocks }),
    ...(images.length > 0 && { images }),
    ...(calls.length > 0 && { tool_calls: calls }),
  };
}
