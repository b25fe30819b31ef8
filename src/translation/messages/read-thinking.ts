import type { LanguageModelV4CallOptions, SharedV4ProviderOptions } from '@ai-sdk/provider';
import { countAt, type Fields, malformed, optional, type Reading, recordAt, textAt } from './reading.ts';

type Effort = NonNullable<LanguageModelV4CallOptions['reasoning']>;

export interface Thinking {
  readonly reasoning?: Effort;
  readonly providerOptions?: SharedV4ProviderOptions;
}

const efforts: ReadonlySet<string> = new Set(['low', 'medium', 'high', 'xhigh', 'max']);
const isEffort = (name: string): name is Effort => efforts.has(name);

/** From how many tokens for thoughts on which effort is asked for, as LiteLLM has it; low for fewer. */
const budgets: readonly (readonly [tokens: number, effort: Effort])[] = [
  [10_000, 'high'],
  [5_000, 'medium'],
];

/** How much a model should think: an effort where it is named, else what is nearest to the budget. */
export function readThinking({ thinking, output_config: config }: Fields, reading: Reading): Thinking {
  const named = optional(optional(config, 'output_config', recordAt)?.['effort'], 'output_config.effort', readEffort);
  const effort = named && { reasoning: named };
  const given = optional(thinking, 'thinking', recordAt);
  if (!given) return { ...effort };
  reading.allow(given, 'thinking', new Set(['type', 'budget_tokens', 'display']));
  const { type, display } = given;
  if (display !== undefined && display !== null && display !== 'summarized') reading.leaveOut('thinking.display');
  switch (type) {
    case 'enabled':
      return withBudget(countAt(given['budget_tokens'], 'thinking.budget_tokens'), named, reading);
    case 'adaptive':
      return { ...effort, ...adaptive(reading) };
    case 'disabled':
      // Anthropic's models do not think unless told to: who says so asks for nothing.
      return reading.features.canRefrainFromThinking ? { reasoning: 'none' } : {};
    case 'between_tools':
      reading.leaveOut('thinking.type');
      return { ...effort };
    default:
      throw malformed('thinking.type', 'be enabled, disabled or adaptive');
  }
}

function readEffort(value: unknown, path: string): Effort {
  const name = textAt(value, path);
  if (isEffort(name)) return name;
  throw malformed(path, `be one of ${[...efforts].join(', ')}`);
}

function withBudget(budgetTokens: number, named: Effort | undefined, { features }: Reading): Thinking {
  const { claude, signatures, name } = features;
  const thinking = { type: 'enabled', budgetTokens };
  if (claude === 'anthropic') return { providerOptions: { [name]: { thinking, ...(named && { effort: named }) } } };
  if (claude === 'bedrock') return { providerOptions: { [name]: { reasoningConfig: thinking } } };
  if (signatures === 'gemini' && !named) return shown(name, { thinkingBudget: budgetTokens });
  const reasoning = named ?? budgets.find(([tokens]) => budgetTokens >= tokens)?.[1] ?? 'low';
  return { reasoning, ...(signatures === 'gemini' && shown(name, {})) };
}

/** Whoever cannot be told that the model may decide decides so anyway. */
function adaptive({ features: { claude, signatures, name } }: Reading): Thinking {
  if (signatures === 'gemini') return shown(name, {});
  if (claude === undefined) return {};
  const thinking = { type: 'adaptive' };
  return { providerOptions: { [name]: claude === 'anthropic' ? { thinking } : { reasoningConfig: thinking } } };
}

/** Google tells its thoughts only where it is asked to. */
const shown = (name: string, config: { thinkingBudget?: number }): Thinking => ({
  providerOptions: { [name]: { thinkingConfig: { ...config, includeThoughts: true } } },
});
