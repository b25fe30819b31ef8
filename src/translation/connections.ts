import type { LanguageModelV4 } from '@ai-sdk/provider';
import { type Deployment, knownProviders } from '../models/deployment.ts';
import type { Provider, UpstreamRequest } from '../proxy/providers/provider.ts';
import type { Transport } from '../proxy/upstream.ts';
import { bedrockPlace, bedrockSecrets } from './bedrock-place.ts';
import { bodyFor } from './compatible-body.ts';
import { bedrockEmbedder } from './embeddings/bedrock-embedder.ts';
import type { Embedder } from './embeddings/embedder.ts';
import { vertexEmbedder } from './embeddings/vertex-embedder.ts';
import { openAs } from './native-calls.ts';
import { misconfigured, type Place, placeOf, sendTo } from './place.ts';
import type { Fetch, Outgoing } from './upstream-fetch.ts';
import type { Receiver, UpstreamCall } from '../proxy/providers/provider.ts';
import { type Vertex, vertexOf } from './vertex.ts';

/** A deployment's provider, with its package loaded. */
export interface Connection {
  /** By which the package finds options of its own. */
  optionsName(upstreamModel: string): string;
  model(upstreamModel: string, fetch: Fetch): LanguageModelV4;
  /** Where it embeds in a protocol of its own. */
  embedder?(upstreamModel: string): Embedder;
  /** Sends what the package has made. */
  open(request: UpstreamRequest): (outgoing: Outgoing, receiver: Receiver) => UpstreamCall | Promise<UpstreamCall>;
}

export interface Ways {
  readonly transport: Transport;
  /** Providers that are called in their own protocol. */
  readonly native: ReadonlyMap<string, Provider>;
}

type Connect = (deployment: Deployment, ways: Ways) => Promise<Connection>;

/** Packages are loaded when a deployment is first called that needs one. */
const byProvider: Readonly<Record<string, Connect>> = { anthropic, bedrock, cohere, gemini, vertex_ai: vertex };

export const connect: Connect = (deployment, ways) => (byProvider[deployment.provider] ?? compatible)(deployment, ways);

/** Packages would look for a missing one in the environment, where it may be somebody else's. */
function keyOf(deployment: Deployment): string {
  if (!deployment.apiKey) throw misconfigured(deployment, 'its api_key is missing');
  return deployment.apiKey;
}

const opener =
  (place: Place, { transport }: Ways): Connection['open'] =>
  (request) =>
    sendTo(place, transport, request);

async function anthropic(deployment: Deployment, ways: Ways): Promise<Connection> {
  const { createAnthropic } = await import('@ai-sdk/anthropic');
  const place = placeOf(deployment, knownProviders.anthropic.apiBase, '/v1');
  const apiKey = keyOf(deployment);
  return {
    optionsName: () => 'anthropic',
    model: (name, fetch) => createAnthropic({ apiKey, baseURL: place.baseURL, fetch })(name),
    open: opener(place, ways),
  };
}

async function gemini(deployment: Deployment, ways: Ways): Promise<Connection> {
  const { createGoogle } = await import('@ai-sdk/google');
  const place = placeOf(deployment, knownProviders.gemini.apiBase);
  const apiKey = keyOf(deployment);
  return {
    optionsName: () => 'google',
    model: (name, fetch) => createGoogle({ apiKey, baseURL: place.baseURL, fetch })(name),
    open: opener(place, ways),
  };
}

async function cohere(deployment: Deployment, ways: Ways): Promise<Connection> {
  const { createCohere } = await import('@ai-sdk/cohere');
  const place = placeOf(deployment, knownProviders.cohere.apiBase, '/v2');
  const apiKey = keyOf(deployment);
  return {
    optionsName: () => 'cohere',
    model: (name, fetch) => createCohere({ apiKey, baseURL: place.baseURL, fetch })(name),
    open: opener(place, ways),
  };
}

async function bedrock(deployment: Deployment, ways: Ways): Promise<Connection> {
  const { createAmazonBedrock } = await import('@ai-sdk/amazon-bedrock');
  const place = bedrockPlace(deployment);
  const { region, baseURL } = place;
  const secrets = bedrockSecrets(deployment);
  return {
    optionsName: () => 'amazonBedrock',
    model: (name, fetch) =>
      createAmazonBedrock({ ...secrets, region, baseURL, fetch })(name.replace(/^converse\//, '')),
    embedder: (name) =>
      bedrockEmbedder(name, (fetch) =>
        createAmazonBedrock({ ...secrets, region, baseURL, fetch }).embeddingModel(name),
      ),
    open: opener(place, ways),
  };
}

async function vertex(deployment: Deployment, ways: Ways): Promise<Connection> {
  const place = vertexOf(deployment, ways.transport);
  const sending = (request: UpstreamRequest) => {
    const send = sendTo(place, ways.transport, request);
    return async ({ headers, ...outgoing }: Outgoing, receiver: Receiver) =>
      send({ ...outgoing, headers: { ...headers, authorization: `Bearer ${await place.token()}` } }, receiver);
  };
  const google = await vertexGoogle(place);
  const claude = await vertexClaude(place);
  return {
    optionsName: (name) => (name.startsWith('claude') ? 'anthropic' : 'vertex'),
    model: (name, fetch) => (name.startsWith('claude') ? claude(name, fetch) : google(name, fetch)),
    embedder: (name) => vertexEmbedder(name, place.baseURL),
    open: sending,
  };
}

const vertexUrls = { '*': [/^https?:\/\/.*$/, /^gs:\/\/.*$/] };

/** Google's own package for Vertex AI adds to these a way of its own to fetch tokens, past the gateway's. */
async function vertexGoogle({ baseURL }: Vertex): Promise<Connection['model']> {
  const { GoogleLanguageModel } = await import('@ai-sdk/google/internal');
  return (name, fetch) =>
    new GoogleLanguageModel(name, {
      provider: 'google.vertex.chat',
      baseURL: `${baseURL}/publishers/google`,
      fetch,
      generateId: () => crypto.randomUUID(),
      supportedUrls: () => vertexUrls,
    });
}

/** The model is in the path there, and the edition of the protocol in the body. */
function forVertex(body: Record<string, unknown>): Record<string, unknown> {
  const { model: _, ...rest } = body;
  return { ...rest, anthropic_version: 'vertex-2023-10-16' };
}

async function vertexClaude({ baseURL }: Vertex): Promise<Connection['model']> {
  const { AnthropicLanguageModel } = await import('@ai-sdk/anthropic/internal');
  return (name, fetch) =>
    new AnthropicLanguageModel(name, {
      provider: 'vertex.anthropic.messages',
      baseURL: `${baseURL}/publishers/anthropic/models`,
      fetch,
      buildRequestUrl: (base, isStream) => `${base}/${name}:${isStream ? 'streamRawPredict' : 'rawPredict'}`,
      transformRequestBody: forVertex,
      supportedUrls: () => ({}),
      supportsNativeStructuredOutput: false,
      supportsStrictTools: false,
    });
}

/** Whoever speaks as OpenAI does is called as for OpenAI's clients: the package makes the body, and nothing else. */
async function compatible(deployment: Deployment, { native }: Ways): Promise<Connection> {
  const { createOpenAICompatible } = await import('@ai-sdk/openai-compatible');
  const provider = native.get(deployment.provider);
  if (!provider) throw misconfigured(deployment, `no provider is called ${JSON.stringify(deployment.provider)}`);
  return {
    optionsName: () => 'upstream',
    model: (name, fetch) =>
      createOpenAICompatible({
        name: 'upstream',
        baseURL: 'https://gateway.invalid',
        includeUsage: true,
        supportsStructuredOutputs: true,
        // It is the server that fetches a picture, as for OpenAI's own clients.
        supportedUrls: () => ({ 'image/*': [/^https?:\/\//] }),
        transformRequestBody: (body) => bodyFor(deployment, body),
        fetch,
      })(name),
    open: (request) => openAs(provider, request),
  };
}
