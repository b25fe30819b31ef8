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
 * sent, and refused where something would be left out. That costs as much as the call itself; of requests that differ in
 * their texts alone the first one is looked at.
 */
export class Expressible {
  readonly #known = new Set<string>();

  /** @throws GatewayError 400 that names what would be left out */
  async require(
    upstreamModel: string,
    options: LanguageModelV4CallOptions,
    modelWith: (fetch: Fetch) => LanguageModelV4,
  ): Promise<void> {
    const shape = shapeOf(upstreamModel, options);
    if (shape !== undefined && this.#known.has(shape)) return;
    await refuseIgnored(options, modelWith);
    if (shape === undefined) return;
    if (this.#known.size >= mostShapes) this.#known.clear();
    this.#known.add(shape);
  }
}

const mostShapes = 128;
const longestShape = 8_192;

/** All of a request but its texts; undefined for one with so much more in it that it is looked at each time. */
function shapeOf(upstreamModel: string, { prompt, ...settings }: LanguageModelV4CallOptions): string | undefined {
  const parts = new Set<string>();
  for (const message of prompt) {
    if (message.providerOptions) return undefined;
    if (message.role === 'system') continue;
    for (const part of message.content) {
      if (part.type !== 'tool-approval-response' && part.providerOptions) return undefined;
      parts.add(`${message.role} ${part.type} ${'mediaType' in part ? part.mediaType : ''}`);
    }
  }
  const shape = JSON.stringify([upstreamModel, settings, [...parts].toSorted(), prompt.at(-1)?.role]);
  return shape.length > longestShape ? undefined : shape;
}

async function refuseIgnored(
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
