import type { FailureKind } from './failure.ts';

export const strategies = [
  'simple-shuffle',
  'least-busy',
  'latency-based-routing',
  'cost-based-routing',
  'usage-based-routing',
] as const;
export type Strategy = (typeof strategies)[number];

/** A number for each kind of failure that has one of its own. */
export type ByFailure = Readonly<Partial<Record<FailureKind, number>>>;

/** By the model that was asked for; `*` is for those that have no entry. */
export type Fallbacks = ReadonlyMap<string, readonly string[]>;

export interface GroupAlias {
  readonly model: string;
  /** Not shown in lists of models. */
  readonly hidden: boolean;
}

/** How calls are routed: LiteLLM's `router_settings`. */
export interface RoutingSettings {
  readonly strategy: Strategy;
  /** How long a latency that was seen counts. */
  readonly latencyTtlMs: number;
  /** Deployments count as fastest whose latency is at most this part above the lowest. */
  readonly latencyBuffer: number;
  /** Further attempts after the first, of one model. */
  readonly retries: number;
  readonly retryPolicy: ByFailure;
  /** The shortest wait before the same deployment is tried again. */
  readonly retryAfterMs: number;
  /** Failures within a minute that a deployment may have; without a number three, and a deployment that is alone is never left out. */
  readonly allowedFails: number | undefined;
  readonly allowedFailsPolicy: ByFailure;
  /** How long a deployment is left out; zero never does. */
  readonly cooldownMs: number;
  readonly fallbacks: Fallbacks;
  readonly contextWindowFallbacks: Fallbacks;
  readonly contentPolicyFallbacks: Fallbacks;
  readonly maxFallbacks: number;
  readonly aliases: ReadonlyMap<string, GroupAlias>;
  readonly tagFiltering: boolean;
  /** Whether one tag of a request is enough; otherwise a deployment must have all of them. */
  readonly matchesAnyTag: boolean;
}

const none: Fallbacks = new Map();

/** One attempt, and nowhere else to go: what is built on this adds to it. */
export const plainRouting: RoutingSettings = {
  strategy: 'simple-shuffle',
  latencyTtlMs: 60_000,
  latencyBuffer: 0,
  retries: 0,
  retryPolicy: {},
  retryAfterMs: 0,
  allowedFails: undefined,
  allowedFailsPolicy: {},
  cooldownMs: 5_000,
  fallbacks: none,
  contextWindowFallbacks: none,
  contentPolicyFallbacks: none,
  maxFallbacks: 5,
  aliases: new Map(),
  tagFiltering: false,
  matchesAnyTag: true,
};

/** So many retries and fallbacks a call has at most, whoever asks for more. */
export const mostRetries = 10;
export const mostFallbacks = 10;
