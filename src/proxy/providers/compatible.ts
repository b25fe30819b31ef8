import { type KnownProvider, knownProviders } from '../../models/deployment.ts';
import type { Dialect } from '../upstream.ts';
import { pathOf } from './paths.ts';
import { anthropic } from './anthropic.ts';
import { azure } from './azure.ts';

/** Bearer tokens, and OpenAI's paths below the base. */
const plain = ({ apiBase }: KnownProvider): Dialect => ({
  apiBase,
  pathOf,
  authorize: (apiKey) => ['authorization', `Bearer ${apiKey}`],
});

/** Cohere's own call for documents, and what it has in OpenAI's shape. Its chats have no room there for reasoning. */
const coherePaths: ReadonlyMap<string, `/${string}`> = new Map([
  ['/rerank', '/v2/rerank'],
  ['/embeddings', '/compatibility/v1/embeddings'],
]);

/** What differs from `plain`. */
const own: Readonly<Partial<Record<keyof typeof knownProviders, Partial<Dialect>>>> = {
  anthropic,
  azure,
  bedrock: { pathOf: () => undefined },
  cohere: { pathOf: ({ endpoint }) => coherePaths.get(endpoint.path) },
  // Chats go by its own protocol, and the rest is not at its place for OpenAI's.
  gemini: { pathOf: ({ endpoint }) => (endpoint.path === '/embeddings' ? '/openai/embeddings' : undefined) },
  // It answers 422 to the first, because it reports the usage of every stream unasked, and to the second's newer name.
  mistral: {
    fit: (fields) => {
      const { stream_options: _, max_completion_tokens: most, ...rest } = fields;
      return most == null ? rest : { ...rest, max_tokens: most };
    },
  },
  vertex_ai: { pathOf: () => undefined },
  // LiteLLM's api_base is that of Ollama's own interface, beside which it has OpenAI's.
  ollama: {
    pathOf: (request) => {
      const path = pathOf(request);
      return path === undefined || request.deployment.apiBase?.endsWith('/v1') ? path : `/v1${path}`;
    },
  },
};

/** Everybody who is called over HTTP: the deployment's `api_base` says where, else the provider's own. */
export const compatible: ReadonlyMap<string, Dialect> = new Map(
  Object.entries(knownProviders).map(([name, known]) => [name, { ...plain(known), ...ownOf(name) }]),
);

function ownOf(name: string): Partial<Dialect> {
  return Object.entries(own).find(([other]) => other === name)?.[1] ?? {};
}
