import type { EmbeddingModelV4 } from '@ai-sdk/provider';
import type { Fetch } from '../upstream-fetch.ts';
import type { Embedder } from './embedder.ts';

type Own = Record<string, string | number>;

/** What differs from family to family; the package knows them by the same parts of their names. */
type Family = Pick<Embedder, 'dimensions' | 'inputTypes' | 'most'> & {
  readonly own: (wish: Parameters<Embedder['options']>[0]) => Own;
};

const withLength = (name: string, dimensions: number | undefined): Own =>
  dimensions === undefined ? {} : { [name]: dimensions };

const titan = (dimensions: readonly number[]): Family => ({
  dimensions,
  most: 1,
  own: (wish) => withLength('dimensions', wish.dimensions),
});

const nova: Family = {
  dimensions: [256, 384, 1024, 3072],
  most: 1,
  own: (wish) => withLength('embeddingDimension', wish.dimensions),
};

/** What is kept to be found is the usual wish, as LiteLLM has it. */
const cohere = (dimensions: readonly number[]): Family => ({
  dimensions,
  inputTypes: /^(?:search_document|search_query|classification|clustering)$/,
  most: 96,
  own: ({ dimensions: length, inputType = 'search_document' }) => ({
    inputType,
    ...withLength('outputDimension', length),
  }),
});

function familyOf(model: string): Family {
  if (model.includes('amazon.nova-') && model.includes('embed')) return nova;
  if (model.includes('cohere.embed-v4')) return cohere([256, 512, 1024, 1536]);
  if (model.includes('cohere.embed-')) return cohere([]);
  return titan(model.includes('titan-embed-text-v2') ? [256, 512, 1024] : []);
}

/** A model of Bedrock that embeds. @param model the package's, by the way it is to send */
export function bedrockEmbedder(name: string, model: (fetch: Fetch) => EmbeddingModelV4): Embedder {
  const { own, ...family } = familyOf(name);
  return { ...family, options: (wish) => ({ amazonBedrock: own(wish) }), model };
}
