import type { EmbeddingModelV4, SharedV4ProviderOptions } from '@ai-sdk/provider';
import type { Fetch } from '../upstream-fetch.ts';

/** What is asked of a model besides its texts. */
export interface EmbeddingWish {
  readonly dimensions: number | undefined;
  /** Cohere's, such as `search_query`. */
  readonly inputType: string | undefined;
  /** Google's, such as `RETRIEVAL_QUERY`. */
  readonly taskType: string | undefined;
}

/** A model that embeds texts, and what it can be asked. */
export interface Embedder {
  /** Lengths of its vectors; none where it has only one. */
  readonly dimensions: readonly number[] | 'any';
  readonly inputTypes?: RegExp;
  readonly taskTypes?: RegExp;
  /** Texts in one call of the provider. */
  readonly most: number;
  options(wish: EmbeddingWish): SharedV4ProviderOptions;
  model(fetch: Fetch): EmbeddingModelV4;
}
