import type { dialects } from './dialects.ts';

export interface ProviderPrefix {
  /** The first segment of the path: `/openai/…`. */
  readonly name: string;
  /** As the price catalogue has it. */
  readonly catalogue: string;
  /** Undefined where no model is called. */
  readonly dialect: keyof typeof dialects | undefined;
  /** Variables that may hold its address; the first one set counts. */
  readonly baseFrom: readonly string[];
  /** Where it is otherwise; undefined where an operator has to say. */
  readonly base: string | undefined;
  readonly keyFrom: readonly string[];
  /** Whether it may be called without a key, as a server of one's own. */
  readonly isKeyOptional?: boolean;
  /** The headers that its credential goes into. */
  authorize(key: string): readonly string[];
  /** Whether paths without a version mean `/v1`, as LiteLLM's clients write them. */
  readonly isVersioned?: boolean;
  /** Headers of a client that reach it, besides those of every body. */
  readonly forwards: readonly string[];
}

const bearer = (key: string) => ['authorization', `Bearer ${key}`];

const openaiLike = { dialect: 'openai', authorize: bearer, isVersioned: true } as const;

/** Whose API can be called as it is. Bedrock, Vertex AI and Langfuse are beside it: their credential is more than a key. */
export const providerPrefixes: readonly ProviderPrefix[] = [
  {
    ...openaiLike,
    name: 'openai',
    catalogue: 'openai',
    baseFrom: ['OPENAI_API_BASE', 'OPENAI_BASE_URL'],
    base: 'https://api.openai.com',
    keyFrom: ['OPENAI_API_KEY'],
    forwards: ['openai-beta', 'idempotency-key'],
  },
  {
    name: 'anthropic',
    catalogue: 'anthropic',
    dialect: 'anthropic',
    baseFrom: ['ANTHROPIC_API_BASE', 'ANTHROPIC_BASE_URL'],
    base: 'https://api.anthropic.com',
    keyFrom: ['ANTHROPIC_API_KEY'],
    authorize: (key) => ['x-api-key', key],
    forwards: ['anthropic-version', 'anthropic-beta', 'idempotency-key'],
  },
  {
    name: 'azure',
    catalogue: 'azure',
    dialect: 'openai',
    baseFrom: ['AZURE_API_BASE'],
    base: undefined,
    keyFrom: ['AZURE_API_KEY'],
    authorize: (key) => ['api-key', key],
    forwards: [],
  },
  {
    name: 'gemini',
    catalogue: 'gemini',
    dialect: 'gemini',
    baseFrom: ['GEMINI_API_BASE'],
    base: 'https://generativelanguage.googleapis.com',
    keyFrom: ['GEMINI_API_KEY', 'GOOGLE_API_KEY'],
    authorize: (key) => ['x-goog-api-key', key],
    forwards: ['x-goog-api-client'],
  },
  {
    name: 'cohere',
    catalogue: 'cohere',
    dialect: 'cohere',
    baseFrom: ['COHERE_API_BASE'],
    base: 'https://api.cohere.com',
    keyFrom: ['COHERE_API_KEY', 'CO_API_KEY'],
    authorize: bearer,
    forwards: ['x-client-name'],
  },
  {
    ...openaiLike,
    name: 'mistral',
    dialect: 'reporting',
    catalogue: 'mistral',
    baseFrom: ['MISTRAL_API_BASE'],
    base: 'https://api.mistral.ai',
    keyFrom: ['MISTRAL_API_KEY'],
    forwards: [],
  },
  {
    ...openaiLike,
    name: 'vllm',
    catalogue: 'hosted_vllm',
    baseFrom: ['HOSTED_VLLM_API_BASE', 'VLLM_API_BASE'],
    base: undefined,
    keyFrom: ['HOSTED_VLLM_API_KEY', 'VLLM_API_KEY'],
    isKeyOptional: true,
    forwards: [],
  },
  {
    name: 'assemblyai',
    catalogue: 'assemblyai',
    dialect: 'openai',
    baseFrom: ['ASSEMBLYAI_API_BASE'],
    base: 'https://api.assemblyai.com',
    keyFrom: ['ASSEMBLYAI_API_KEY'],
    authorize: (key) => ['authorization', key],
    forwards: [],
  },
  {
    ...openaiLike,
    name: 'groq',
    dialect: 'reporting',
    catalogue: 'groq',
    baseFrom: ['GROQ_API_BASE'],
    base: 'https://api.groq.com/openai',
    keyFrom: ['GROQ_API_KEY'],
    forwards: [],
  },
  {
    ...openaiLike,
    name: 'together',
    dialect: 'reporting',
    catalogue: 'together',
    baseFrom: ['TOGETHERAI_API_BASE', 'TOGETHER_API_BASE'],
    base: 'https://api.together.xyz',
    keyFrom: ['TOGETHERAI_API_KEY', 'TOGETHER_AI_API_KEY', 'TOGETHER_API_KEY'],
    forwards: [],
  },
];
