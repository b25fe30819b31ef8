import type { RateLimit } from '../access/principal.ts';
import { GatewayError } from '../kernel/errors.ts';

export interface RateState {
  readonly kind: 'requests' | 'tokens' | 'max_parallel_requests';
  readonly left: number;
  /** Tokens that were asked for. */
  readonly wanted?: number;
  readonly waitMs: number;
  readonly nowMs: number;
}

/** LiteLLM's names for what is limited. */
const descriptors: Readonly<Record<RateLimit['entity'], string>> = {
  key: 'api_key',
  team: 'team',
  user: 'user',
  member: 'team_member',
  organization: 'organization',
  organization_member: 'organization_member',
  customer: 'end_user',
  tag: 'tag',
  gateway: 'gateway',
  deployment: 'deployment',
};

/** All daemons together have used a deployment up. Another one may have room. */
export class DeploymentFull extends GatewayError {
  readonly waitMs: number;

  constructor({ label }: RateLimit, waitMs: number) {
    const seconds = Math.max(1, Math.ceil(waitMs / 1_000));
    const message = `No deployments available for selected model ${label}: it is at its limit. Try again in ${seconds} seconds`;
    super('limited', 'no_deployments_available', message, { headers: { 'retry-after': String(seconds) } });
    this.waitMs = waitMs;
  }
}

/** A limit has no room for a call. In LiteLLM's words, of both of its limiters: its clients and its tests look for them. */
export function rateLimitExceeded(limit: RateLimit, { kind, left, wanted, waitMs, nowMs }: RateState): GatewayError {
  const most = { requests: limit.requests, tokens: limit.tokens, max_parallel_requests: limit.parallel }[kind] ?? 0;
  const seconds = Math.max(1, Math.ceil(waitMs / 1_000));
  const remaining = Math.max(0, left);
  const what = limit.model === undefined ? limit.label : `${limit.label} for model=${limit.model}`;
  const name = limit.model === undefined ? descriptors[limit.entity] : `model_per_${limit.entity}`;
  const message =
    `Crossed TPM / RPM / Max Parallel Request Limit. Rate limit exceeded for ${name}: ${what}. Limit type: ${kind}. ` +
    `Current limit: ${most}, Remaining: ${remaining}. Limit resets at: ${new Date(nowMs + seconds * 1_000).toISOString()}`;
  const suffix = kind === 'tokens' ? 'tokens' : 'requests';
  return new GatewayError('limited', 'throttling_error', message, {
    ...(wanted !== undefined && {
      hint:
        wanted > most
          ? `The call asks for ${wanted} tokens, its prompt and max_tokens together, and can never fit. A lower max_tokens may.`
          : `The call asks for ${wanted} tokens, its prompt and max_tokens together.`,
    }),
    headers: {
      'retry-after': String(seconds),
      [`x-ratelimit-limit-${suffix}`]: String(most),
      [`x-ratelimit-remaining-${suffix}`]: String(remaining),
    },
  });
}
