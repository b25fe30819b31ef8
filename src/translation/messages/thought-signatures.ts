import type { SharedV4ProviderMetadata, SharedV4ProviderOptions } from '@ai-sdk/provider';
import { isRecord } from '../../kernel/record.ts';
import type { ProviderFeatures } from './provider-features.ts';

/** What tells Gemini's signatures from Claude's in the same place; Claude's are base64, which has no colon. */
const geminis = 'gemini:';
const separator = ':';

/** The thoughts of a model, which a client hands back as it got them. */
export interface Signed {
  readonly signature?: string;
  /** Thoughts that only the provider can read. */
  readonly redacted?: string;
}

/** What a provider says of a part, under whichever name it says it. */
export function signedBy(metadata: SharedV4ProviderMetadata | undefined): Signed {
  for (const each of Object.values(metadata ?? {})) {
    const { signature, redactedData, thoughtSignature } = each;
    if (typeof signature === 'string') return { signature };
    if (typeof redactedData === 'string') return { redacted: redactedData };
    if (typeof thoughtSignature === 'string') return { signature: geminis + thoughtSignature };
  }
  return {};
}

/**
 * Gemini signs calls of tools and wants the signature back with them, for which Anthropic's blocks have no member. It
 * travels in a block of thoughts that cannot be read, which every client hands back as it is.
 */
export function signatureOfCall(id: string, metadata: SharedV4ProviderMetadata | undefined): string | undefined {
  const { signature } = signedBy(metadata);
  return signature?.startsWith(geminis) ? `${geminis}${id}${separator}${signature.slice(geminis.length)}` : undefined;
}

/** The signatures of calls among the blocks of a message, by the id of the call. */
export function signaturesOfCalls(blocks: readonly unknown[]): ReadonlyMap<string, string> {
  const found = new Map<string, string>();
  for (const block of blocks) {
    const data = isRecord(block) && block['type'] === 'redacted_thinking' ? block['data'] : undefined;
    if (typeof data !== 'string' || !data.startsWith(geminis)) continue;
    // The id may have colons in it, the signature is base64.
    const end = data.lastIndexOf(separator);
    found.set(data.slice(geminis.length, end), data.slice(end + 1));
  }
  return found;
}

/** The options with which a call that Gemini signed goes back to it. */
export const signedCall = (
  { signatures }: ProviderFeatures,
  thoughtSignature: string | undefined,
): SharedV4ProviderOptions | undefined =>
  signatures === 'gemini' && thoughtSignature !== undefined ? { google: { thoughtSignature } } : undefined;

/**
 * The options with which thoughts go back to whoever had them; undefined where they were another provider's, which
 * could not verify them and would refuse the request.
 */
export function signedThoughts(
  { signatures, name }: ProviderFeatures,
  { signature = '', redacted }: Signed,
): SharedV4ProviderOptions | undefined {
  const isGeminis = signature.startsWith(geminis);
  if (signatures === undefined) return signature === '' && redacted === undefined ? {} : undefined;
  if (signatures === 'gemini') {
    if (redacted !== undefined || !isGeminis) return undefined;
    return { google: { thoughtSignature: signature.slice(geminis.length) } };
  }
  if (isGeminis || redacted?.startsWith(geminis)) return undefined;
  if (redacted !== undefined) return { [name]: { redactedData: redacted } };
  return signature === '' ? undefined : { [name]: { signature } };
}
