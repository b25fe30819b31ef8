import type { SecretParam } from './deployment.ts';

/** A provider that is called over HTTP. Most speak as OpenAI does. */
export interface KnownProvider {
  /** Where it is when a deployment does not say; absent where that is the operator's to say. */
  readonly apiBase?: string;
  /** Variables of the environment its key is in when a deployment has none; LiteLLM's names, the first one set counts. */
  readonly apiKey: readonly string[];
  /** Parameters of a deployment that say where it is, where neither the provider's name nor an `api_base` does. */
  readonly placedBy?: readonly string[];
  /** What of `secretParams` may be there in the place of a key, each complete only with all of its members. */
  readonly credentials?: readonly (readonly SecretParam[])[];
}

/** Providers by the prefix of a model, LiteLLM's names. A new one that speaks as OpenAI does is a line here. */
export const knownProviders = {
  openai: { apiBase: 'https://api.openai.com/v1', apiKey: ['OPENAI_API_KEY'] },
  anthropic: { apiBase: 'https://api.anthropic.com', apiKey: ['ANTHROPIC_API_KEY'] },
  azure: { apiKey: ['AZURE_API_KEY'] },
  bedrock: {
    apiKey: [],
    placedBy: ['aws_region_name'],
    credentials: [['aws_access_key_id', 'aws_secret_access_key']],
  },
  cohere: { apiBase: 'https://api.cohere.com', apiKey: ['COHERE_API_KEY', 'CO_API_KEY'] },
  deepseek: { apiBase: 'https://api.deepseek.com/v1', apiKey: ['DEEPSEEK_API_KEY'] },
  fireworks_ai: {
    apiBase: 'https://api.fireworks.ai/inference/v1',
    apiKey: ['FIREWORKS_API_KEY', 'FIREWORKS_AI_API_KEY'],
  },
  gemini: {
    apiBase: 'https://generativelanguage.googleapis.com/v1beta',
    apiKey: ['GEMINI_API_KEY', 'GOOGLE_API_KEY'],
  },
  groq: { apiBase: 'https://api.groq.com/openai/v1', apiKey: ['GROQ_API_KEY'] },
  hosted_vllm: { apiKey: [] },
  mistral: { apiBase: 'https://api.mistral.ai/v1', apiKey: ['MISTRAL_API_KEY'] },
  ollama: { apiBase: 'http://localhost:11434', apiKey: ['OLLAMA_API_KEY'] },
  openrouter: { apiBase: 'https://openrouter.ai/api/v1', apiKey: ['OPENROUTER_API_KEY'] },
  perplexity: { apiBase: 'https://api.perplexity.ai', apiKey: ['PERPLEXITYAI_API_KEY', 'PERPLEXITY_API_KEY'] },
  together_ai: {
    apiBase: 'https://api.together.xyz/v1',
    apiKey: ['TOGETHERAI_API_KEY', 'TOGETHER_AI_API_KEY', 'TOGETHER_API_KEY'],
  },
  vertex_ai: { apiKey: [], placedBy: ['vertex_project', 'vertex_location'], credentials: [['vertex_credentials']] },
  xai: { apiBase: 'https://api.x.ai/v1', apiKey: ['XAI_API_KEY'] },
} as const satisfies Readonly<Record<string, KnownProvider>>;

export const knownProvider = (name: string | undefined): KnownProvider | undefined =>
  name !== undefined && isKnown(name) ? knownProviders[name] : undefined;

const isKnown = (name: string): name is keyof typeof knownProviders => Object.hasOwn(knownProviders, name);

/**
 * Whose protocol we speak upstream; `openai` is everybody's who speaks OpenAI's, `anthropic` everybody's who speaks Anthropic's. The mock is there without a line: it is
 * not anywhere.
 */
export const providers: readonly string[] = [...Object.keys(knownProviders), 'mock'];
