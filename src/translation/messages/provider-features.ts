import type { SharedV4ProviderOptions } from '@ai-sdk/provider';

type Claude = 'anthropic' | 'bedrock';
/** What a provider's package takes beyond what all of them do. */
export interface ProviderFeatures {
  /** By which its package finds options of its own. */
  readonly name: string;
  /** Whose signatures of thoughts it takes back. */
  readonly signatures: 'claude' | 'gemini' | undefined;
  /** How it takes hints at what to cache, and a budget for thoughts. */
  readonly claude: Claude | undefined;
  readonly takesTopK: boolean;
  /** Whether the answer to a tool's call can hold images. */
  readonly takesFilesOfTools: boolean;
  /** Whether a model goes on with what the last message of the assistant began. */
  readonly continuesAnswers: boolean;
  /** Whether it can be told not to think. An OpenAI-compatible model that does not think refuses to be told so. */
  readonly canRefrainFromThinking: boolean;
  /** What makes it call one tool at a time; undefined where nothing does. */
  readonly oneToolAtATime: SharedV4ProviderOptions | undefined;
}

const oneOfClaude: SharedV4ProviderOptions = { anthropic: { disableParallelToolUse: true } };

type Unnamed = Omit<ProviderFeatures, 'name'>;

const ofClaude = (claude: Claude): Unnamed => ({
  signatures: 'claude',
  claude,
  takesTopK: true,
  takesFilesOfTools: true,
  continuesAnswers: true,
  canRefrainFromThinking: true,
  oneToolAtATime: oneOfClaude,
});

const gemini: Unnamed = {
  signatures: 'gemini',
  claude: undefined,
  takesTopK: true,
  takesFilesOfTools: true,
  continuesAnswers: false,
  canRefrainFromThinking: true,
  oneToolAtATime: undefined,
};

const plain: Unnamed = {
  signatures: undefined,
  claude: undefined,
  takesTopK: false,
  takesFilesOfTools: false,
  continuesAnswers: false,
  canRefrainFromThinking: false,
  oneToolAtATime: undefined,
};

const known: ReadonlyMap<string, Unnamed> = new Map([
  ['anthropic', ofClaude('anthropic')],
  ['bedrock', ofClaude('bedrock')],
  ['amazonBedrock', ofClaude('bedrock')],
  ['google', gemini],
  ['vertex', gemini],
  ['googleVertex', gemini],
  ['mistral', { ...plain, continuesAnswers: true, oneToolAtATime: { mistral: { parallelToolCalls: false } } }],
  ['cohere', { ...plain, takesTopK: true }],
]);

/** One that is not known speaks as OpenAI does. */
export const featuresOf = (name: string): ProviderFeatures => ({
  name,
  ...(known.get(name) ?? { ...plain, oneToolAtATime: { [name]: { parallel_tool_calls: false } } }),
});
