import type { LanguageModelV4, LanguageModelV4Prompt } from '@ai-sdk/provider';
import { GatewayError } from '../kernel/errors.ts';
import type { UpstreamRequest } from '../proxy/providers/provider.ts';

/** Files that a prompt names by their address. */
function* addressesIn(prompt: LanguageModelV4Prompt): Generator<{ readonly url: string; readonly mediaType: string }> {
  for (const { role, content } of prompt) {
    if (role === 'system') continue;
    for (const part of content) {
      if (part.type === 'file' && part.data.type === 'url')
        yield { url: String(part.data.url), mediaType: part.mediaType };
      if (part.type !== 'tool-result' || part.output.type !== 'content') continue;
      for (const each of part.output.value) {
        if (each.type === 'file' && each.data.type === 'url') yield { url: String(each.data.url), mediaType: '' };
      }
    }
  }
}

/**
 * Refuses addresses that the provider does not fetch: the gateway fetches nothing that a client names, because it may
 * reach what the client may not.
 */
export async function requireReachable(prompt: LanguageModelV4Prompt, model: LanguageModelV4): Promise<void> {
  const supported = Object.entries((await model.supportedUrls) ?? {});
  for (const { url, mediaType } of addressesIn(prompt)) {
    const isTaken = supported.some(
      ([type, patterns]) => isOfType(mediaType, type) && patterns.some((pattern) => pattern.test(url)),
    );
    if (isTaken) continue;
    throw new GatewayError('invalid', 'unsupported_field', 'This model’s provider takes no file at such an address', {
      param: 'messages',
      hint: 'Send the file itself, as a data: URL.',
    });
  }
}

/** @param pattern such as `image/*` or `*` */
function isOfType(mediaType: string, pattern: string): boolean {
  if (mediaType === '') return false;
  if (pattern === '*' || pattern === '*/*') return true;
  const [top] = pattern.split('/');
  return pattern.endsWith('/*') ? mediaType.split('/')[0] === top : mediaType === pattern;
}

/** The part that a client may choose, where a deployment stands for many models, must not lead to another place. */
export function requireSafeName({ upstreamModel }: UpstreamRequest): void {
  const isSafe = /^[\w.:@/+-]{1,512}$/.test(upstreamModel) && !upstreamModel.split('/').includes('..');
  if (isSafe) return;
  throw new GatewayError('invalid', 'invalid_request_error', 'The name of the model has letters that no model has', {
    param: 'model',
  });
}
