import type { Deployment } from '../models/deployment.ts';

/** What an operator says of a deployment beside where it is. */
export interface DeploymentRules {
  readonly rpm: number | undefined;
  readonly tpm: number | undefined;
  readonly parallel: number | undefined;
  readonly weight: number | undefined;
  /** Lower ones come first; the others are for when none of these is left. */
  readonly order: number;
  readonly tags: readonly string[];
  /** Further attempts after one here has failed. */
  readonly retries: number | undefined;
  readonly cooldownMs: number | undefined;
}

/** As they stand in `litellm_params`. */
export function rulesOf({ params }: Pick<Deployment, 'params'>): DeploymentRules {
  const number = (name: string): number | undefined => {
    const value = params[name];
    return typeof value === 'number' && value >= 0 && Number.isFinite(value) ? value : undefined;
  };
  const cooldown = number('cooldown_time');
  const { tags } = params;
  return {
    rpm: number('rpm'),
    tpm: number('tpm'),
    parallel: number('max_parallel_requests'),
    weight: number('weight'),
    order: number('order') ?? Number.MAX_SAFE_INTEGER,
    tags: Array.isArray(tags) ? tags.filter((tag): tag is string => typeof tag === 'string') : [],
    retries: number('num_retries') ?? number('max_retries'),
    cooldownMs: cooldown === undefined ? undefined : cooldown * 1_000,
  };
}
