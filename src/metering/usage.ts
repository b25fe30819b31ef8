/** Tokens of one call, in disjoint buckets inside the two totals the provider reports. */
export interface Usage {
  /** All input tokens, cached ones included. */
  readonly promptTokens: number;
  /** All output tokens, reasoning included. */
  readonly completionTokens: number;
  /** Of promptTokens, those read from a cache. */
  readonly cacheReadTokens: number;
  /** Of promptTokens, those written to a cache. */
  readonly cacheWriteTokens: number;
  /** Of completionTokens, those spent on reasoning. */
  readonly reasoningTokens: number;
  readonly audioInputTokens: number;
  readonly audioOutputTokens: number;
  /** True when nobody reported the numbers and we counted or guessed them ourselves. */
  readonly estimated: boolean;
}
