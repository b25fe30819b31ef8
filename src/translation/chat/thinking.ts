import type { JSONObject, LanguageModelV4CallOptions } from '@ai-sdk/provider';
import { type Fields, invalid, numberOf, type Reading } from './reading.ts';

type Effort = NonNullable<LanguageModelV4CallOptions['reasoning']>;

const efforts: ReadonlySet<string> = new Set<Effort>(['none', 'minimal', 'low', 'medium', 'high', 'xhigh']);

const isEffort = (value: string): value is Effort => efforts.has(value);

interface Thinking {
  reasoning?: Effort;
  own?: JSONObject;
}

/** How hard the model is to think, in OpenAI's words. */
export function effortOf(effort: string, reading: Reading): Thinking {
  if (!isEffort(effort))
    throw invalid(`reasoning_effort must be one of ${[...efforts].join(', ')}`, 'reasoning_effort');
  // Google tells its thoughts only where it is asked to.
  const isTold = reading.isGoogle && effort !== 'none';
  return { reasoning: effort, ...(isTold && { own: { thinkingConfig: { includeThoughts: true } } }) };
}

/** The same in Anthropic's words, which LiteLLM takes in a chat completion too. */
export function thinkingOf(
  { type, budget_tokens: budget }: Fields,
  reading: Reading,
  { max_tokens: older, max_completion_tokens: newer }: Fields,
): Thinking {
  if (type !== 'enabled' && type !== 'disabled' && type !== 'adaptive') {
    throw invalid('thinking.type must be enabled, disabled or adaptive', 'thinking.type');
  }
  const budgetTokens = budget == null ? undefined : numberOf(budget, 'thinking.budget_tokens');
  if (type === 'enabled' && budgetTokens === undefined) {
    throw invalid('thinking.budget_tokens is required', 'thinking.budget_tokens');
  }
  const most = Math.max(Number(older ?? 0), Number(newer ?? 0));
  if (budgetTokens !== undefined && most > 0 && budgetTokens >= most) {
    throw invalid('max_tokens must be greater than thinking.budget_tokens', 'max_tokens');
  }
  const own = optionsFor(reading, type, budgetTokens);
  if (own) return { own };
  reading.leaveOut('thinking');
  return {};
}

function optionsFor(reading: Reading, type: string, budgetTokens: number | undefined): JSONObject | undefined {
  const sized = { type, ...(budgetTokens !== undefined && { budgetTokens }) };
  if (reading.isAnthropic) return { thinking: sized };
  if (reading.isBedrock) return { reasoningConfig: sized };
  if (!reading.isGoogle) return undefined;
  if (type === 'disabled') return { thinkingConfig: { thinkingBudget: 0 } };
  return {
    thinkingConfig: { includeThoughts: true, ...(budgetTokens !== undefined && { thinkingBudget: budgetTokens }) },
  };
}
