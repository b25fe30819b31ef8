import type { LanguageModelV4, LanguageModelV4CallOptions, SharedV4Warning } from '@ai-sdk/provider';
import { GatewayError } from '../kernel/errors.ts';
import type { Fetch } from './upstream-fetch.ts';

/** What packages call settings, and clients call otherwise. */
const clientNames: Readonly<Record<string, string>> = {
  maxOutputTokens: 'max_tokens',
  stopSequences: 'stop',
  reasoning: 'reasoning_effort',
};

const snakeCase = (name: string): string => name.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);

/** Settings that a provider's package says it does not pass on, by the names clients have for them. */
export function ignoredIn(warnings: readonly SharedV4Warning[]): string[] {
  return warnings.flatMap((warning) => {
    if (warning.type !== 'unsupported') return [];
    const last = warning.feature.split('.').at(-1) ?? '';
    return [clientNames[last] ?? snakeCase(last)];
  });
}

const noAnswer: Fetch = async () => new Response('', { status: 200, headers: { 'content-type': 'text/event-stream' } });

/**
 * Packages say what they leave out only beside the answer, when it is paid for. So the request is made once without being
 * sent, and refused where something would be left out.
 */
export async function refuseIgnored(
  options: LanguageModelV4CallOptions,
  modelWith: (fetch: Fetch) => LanguageModelV4,
): Promise<void> {
  const { stream } = await modelWith(noAnswer).doStream(options);
  const reader = stream.getReader();
  const { value: part } = await reader.read();
  await reader.cancel();
  const warnings = part?.type === 'stream-start' ? part.warnings : [];
  const [name] = ignoredIn(warnings);
  if (name === undefined) return;
  const why = warnings.find((warning) => warning.type === 'unsupported')?.details;
  throw new GatewayError('invalid', 'unsupported_field', `${name} cannot be passed on to this model`, {
    param: name,
    hint: why ?? `Leave ${name} out, or have the operator set drop_params.`,
  });
}
