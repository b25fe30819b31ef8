import { clampUnits, type Units } from './units.ts';

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
  /** Of cacheWriteTokens, those written to be kept for an hour, which Anthropic sells dearer. None where absent. */
  readonly cacheWriteHourTokens?: number;
  /** Of completionTokens, those spent on reasoning. */
  readonly reasoningTokens: number;
  readonly audioInputTokens: number;
  readonly audioOutputTokens: number;
  /** Of promptTokens, those of images. */
  readonly imageInputTokens?: number | undefined;
  /** Of completionTokens, those of images. */
  readonly imageOutputTokens?: number | undefined;
  /** What is not counted in tokens. */
  readonly units?: Units | undefined;
  /** True when nobody reported the numbers and we counted or guessed them ourselves. */
  readonly estimated: boolean;
}

/** No model reads or writes this many tokens in a call. */
const mostTokens = 1_000_000_000;

/** A count of tokens as something that can be multiplied: whole, not negative, not absurd; zero for what is no number. */
export const clampTokens = (tokens: number, most = mostTokens): number =>
  tokens > 0 ? Math.min(Math.trunc(tokens), most) : 0;

/**
 * Usage made sound: counts within reason, and no part larger than its whole. Upstreams do report negative, missing and
 * absurd numbers. What had to be changed is marked as estimated, so that the rows in question can be found.
 */
export function clampUsage(usage: Usage): Usage {
  const promptTokens = clampTokens(usage.promptTokens);
  const completionTokens = clampTokens(usage.completionTokens);
  const cacheReadTokens = clampTokens(usage.cacheReadTokens, promptTokens);
  const cacheWriteTokens = clampTokens(usage.cacheWriteTokens, promptTokens - cacheReadTokens);
  const cacheWriteHourTokens = clampTokens(usage.cacheWriteHourTokens ?? 0, cacheWriteTokens);
  const audioInputTokens = clampTokens(usage.audioInputTokens, promptTokens - cacheReadTokens - cacheWriteTokens);
  const imageInputTokens =
    usage.imageInputTokens &&
    clampTokens(usage.imageInputTokens, promptTokens - cacheReadTokens - cacheWriteTokens - audioInputTokens);
  const reasoningTokens = clampTokens(usage.reasoningTokens, completionTokens);
  const audioOutputTokens = clampTokens(usage.audioOutputTokens, completionTokens - reasoningTokens);
  const imageOutputTokens =
    usage.imageOutputTokens &&
    clampTokens(usage.imageOutputTokens, completionTokens - reasoningTokens - audioOutputTokens);
  const units = usage.units && clampUnits(usage.units);
  const isSound =
    promptTokens === usage.promptTokens &&
    completionTokens === usage.completionTokens &&
    cacheReadTokens === usage.cacheReadTokens &&
    cacheWriteTokens === usage.cacheWriteTokens &&
    cacheWriteHourTokens === (usage.cacheWriteHourTokens ?? 0) &&
    audioInputTokens === usage.audioInputTokens &&
    reasoningTokens === usage.reasoningTokens &&
    audioOutputTokens === usage.audioOutputTokens &&
    imageInputTokens === usage.imageInputTokens &&
    imageOutputTokens === usage.imageOutputTokens &&
    units === usage.units;
  if (isSound) return usage;
  return {
    promptTokens,
    completionTokens,
    cacheReadTokens,
    cacheWriteTokens,
    ...(cacheWriteHourTokens > 0 && { cacheWriteHourTokens }),
    reasoningTokens,
    audioInputTokens,
    audioOutputTokens,
    ...(imageInputTokens !== undefined && { imageInputTokens }),
    ...(imageOutputTokens !== undefined && { imageOutputTokens }),
    ...(units && { units }),
    estimated: true,
  };
}

/** What was used of nothing. */
export const noTokens: Usage = {
  promptTokens: 0,
  completionTokens: 0,
  cacheReadTokens: 0,
  cacheWriteTokens: 0,
  reasoningTokens: 0,
  audioInputTokens: 0,
  audioOutputTokens: 0,
  estimated: false,
};
