import { costOf } from './metering/rates.ts';
import type { Prices } from './metering/prices.ts';
import { countCompletion, estimatePromptTokens } from './metering/estimate.ts';
import { type Deployment, splitModel } from './models/deployment.ts';
import { usageShapes } from './passthrough/usage-readers.ts';
import { isRecord } from './kernel/record.ts';
import { noTokens, type Usage } from './metering/usage.ts';
import type { Priced, ToPrice } from './spend/calculate.operations.ts';

/**
 * What a call costs, by the prices calls are booked at. The tokens are those that the answer reports; without an answer
 * the messages are counted, as far as they are text.
 *
 * @param deployment the model, where one of that name is set up; else it is looked up in the catalogue
 */
export async function priceAnswer(
  prices: Prices,
  { deployment, model, response, messages, at }: ToPrice,
): Promise<Priced | undefined> {
  const priced = deployment ?? inCatalogue(model);
  const usage = response ? readUsage(response) : await countMessages(messages ?? []);
  if (!priced || !usage) return undefined;
  const { source, bands } = prices.of(priced, priced.upstreamModel, at);
  return source === 'unpriced' ? undefined : { cost: costOf(bands, usage), usage };
}

/** Providers count input in two ways: the field's name tells OpenAI's from Anthropic's. */
function readUsage({ usage, type }: Readonly<Record<string, unknown>>): Usage | undefined {
  if (!isRecord(usage)) return undefined;
  return type === 'message' ? usageShapes.anthropic.read(usage) : usageShapes.openai.read(usage);
}

async function countMessages(messages: readonly unknown[]): Promise<Usage> {
  const texts = messages.flatMap((message) => (isRecord(message) ? textsOf(message['content']) : []));
  const frame = estimatePromptTokens({ messages }, 0);
  return { ...noTokens, promptTokens: frame + (await countCompletion(texts.join(' '))), estimated: true };
}

function textsOf(content: unknown): string[] {
  if (typeof content === 'string') return [content];
  if (!Array.isArray(content)) return [];
  return content.flatMap((part: unknown) => (isRecord(part) && typeof part['text'] === 'string' ? [part['text']] : []));
}

function inCatalogue(model: string): Deployment | undefined {
  const split = splitModel(model);
  return (
    split && {
      ...split,
      id: model,
      name: model,
      apiBase: undefined,
      apiKey: undefined,
      source: 'builtin',
      info: {},
      params: {},
    }
  );
}
