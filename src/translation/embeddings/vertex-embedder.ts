import type { EmbeddingModelV4, JSONObject } from '@ai-sdk/provider';
import { isRecord } from '../../kernel/record.ts';
import type { Fetch } from '../upstream-fetch.ts';
import type { Embedder } from './embedder.ts';

type Wish = Readonly<Record<string, unknown>>;
type Result = Awaited<ReturnType<EmbeddingModelV4['doEmbed']>>;

/** One of the two ways in which Vertex AI is asked to embed. */
interface Way {
  readonly verb: string;
  readonly most: number;
  body(texts: readonly string[], wish: Wish): object;
  /** Undefined for what is no answer. */
  read(answer: Wish): { readonly embeddings: number[][]; readonly tokens: number } | undefined;
}

const isVector = (value: unknown): value is number[] =>
  Array.isArray(value) && value.length > 0 && value.every((each) => typeof each === 'number');

const memberOf = (value: unknown, ...names: readonly string[]): unknown =>
  names.reduce<unknown>((found, name) => (isRecord(found) ? found[name] : undefined), value);

const predict: Omit<Way, 'most'> = {
  verb: 'predict',
  body: (texts, { taskType, dimensions }) => ({
    instances: texts.map((content) => ({ content, ...(taskType !== undefined && { task_type: taskType }) })),
    ...(dimensions !== undefined && { parameters: { outputDimensionality: dimensions } }),
  }),
  read: ({ predictions }) => {
    if (!Array.isArray(predictions)) return undefined;
    const embeddings = predictions.map((each) => memberOf(each, 'embeddings', 'values')).filter(isVector);
    const tokens = predictions.map((each) => Number(memberOf(each, 'embeddings', 'statistics', 'token_count')));
    return { embeddings, tokens: tokens.reduce((sum, each) => sum + each, 0) };
  },
};

const embedContent: Way = {
  verb: 'embedContent',
  most: 1,
  body: ([text], { taskType, dimensions }) => ({
    content: { parts: [{ text }] },
    ...(taskType !== undefined && { taskType }),
    ...(dimensions !== undefined && { outputDimensionality: dimensions }),
  }),
  read: (answer) => {
    const values = memberOf(answer, 'embedding', 'values');
    const tokens = Number(memberOf(answer, 'usageMetadata', 'promptTokenCount'));
    return isVector(values) ? { embeddings: [values], tokens } : undefined;
  },
};

function wayOf(name: string): Way {
  if (name.startsWith('gemini-embedding-2')) return embedContent;
  // Google takes one text a call for its larger models, and 250 for the others.
  return { ...predict, most: name.startsWith('gemini-') ? 1 : 250 };
}

/** A model of Vertex AI that embeds. Google's own package for it fetches tokens in a way of its own, past the gateway's. */
export const vertexEmbedder = (name: string, baseURL: string): Embedder => {
  const way = wayOf(name);
  return {
    dimensions: 'any',
    taskTypes: /^[A-Z_]{1,64}$/,
    most: way.most,
    options: ({ dimensions, taskType }) => {
      const own: JSONObject = {};
      if (dimensions !== undefined) own['dimensions'] = dimensions;
      if (taskType !== undefined) own['taskType'] = taskType;
      return { vertex: own };
    },
    model: (send) => vertexModel({ name, url: `${baseURL}/publishers/google/models/${name}:${way.verb}`, way, send }),
  };
};

interface Called {
  readonly name: string;
  readonly url: string;
  readonly way: Way;
  readonly send: Fetch;
}

const vertexModel = ({ name, url, way, send }: Called): EmbeddingModelV4 => ({
  specificationVersion: 'v4',
  provider: 'google.vertex.embedding',
  modelId: name,
  maxEmbeddingsPerCall: way.most,
  supportsParallelCalls: true,
  async doEmbed({ values, providerOptions, abortSignal }): Promise<Result> {
    const body = JSON.stringify(way.body(values, providerOptions?.['vertex'] ?? {}));
    const headers = { 'content-type': 'application/json' };
    const response = await send(url, { method: 'POST', headers, body, ...(abortSignal && { signal: abortSignal }) });
    const text = await response.text();
    const read = response.ok ? way.read(parse(text)) : undefined;
    if (read?.embeddings.length === values.length) {
      return { embeddings: read.embeddings, usage: { tokens: read.tokens }, warnings: [] };
    }
    const { APICallError } = await import('@ai-sdk/provider');
    throw new APICallError({
      message: 'Vertex AI did not embed the texts',
      url,
      requestBodyValues: undefined,
      statusCode: response.status,
      responseHeaders: Object.fromEntries(response.headers),
      responseBody: text,
    });
  },
});

function parse(text: string): Wish {
  try {
    const answer: unknown = JSON.parse(text);
    return isRecord(answer) ? answer : {};
  } catch {
    // An answer without what is looked for.
    return {};
  }
}
