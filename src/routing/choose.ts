import type { DeploymentState } from './deployment-state.ts';
import type { RoutingSettings, Strategy } from './routing-settings.ts';

export interface Choice extends Pick<RoutingSettings, 'strategy' | 'latencyTtlMs' | 'latencyBuffer'> {
  readonly nowMs: number;
  /** From 0 up to 1. */
  readonly random: () => number;
  /** What a token costs there, in any unit. */
  readonly costOf: (state: DeploymentState) => number;
}

/** One of those that can be called. There is at least one. */
export function choose(candidates: readonly DeploymentState[], choice: Choice): DeploymentState | undefined {
  const first = leastOf(candidates, ({ rules }) => rules.order);
  if (first.length <= 1) return first[0];
  return evenly(best[choice.strategy](first, choice), choice);
}

type Best = (candidates: readonly DeploymentState[], choice: Choice) => readonly DeploymentState[];

const best: Readonly<Record<Strategy, Best>> = {
  'simple-shuffle': shuffled,
  'least-busy': (candidates) => leastOf(candidates, ({ inFlight }) => inFlight),
  // Whose latency is not known is tried, so that it is known.
  'latency-based-routing': (candidates, { nowMs, latencyTtlMs, latencyBuffer }) =>
    leastOf(candidates, (state) => state.latencyMs(nowMs, latencyTtlMs) ?? 0, latencyBuffer),
  'cost-based-routing': (candidates, { costOf }) => leastOf(candidates, costOf),
  'usage-based-routing': (candidates, { nowMs }) => leastOf(candidates, (state) => state.tokens(nowMs)),
};

/** All of those that have the lowest value, or one that is hardly higher. */
function leastOf(
  candidates: readonly DeploymentState[],
  valueOf: (state: DeploymentState) => number,
  buffer = 0,
): readonly DeploymentState[] {
  if (candidates.length <= 1) return candidates;
  const values = candidates.map(valueOf);
  const most = Math.min(...values) * (1 + buffer);
  return candidates.filter((_, index) => (values[index] ?? 0) <= most);
}

const weights = ['weight', 'rpm', 'tpm'] as const;

/** By the first of these that any of them has; one without it has none of the calls, as in LiteLLM. */
function shuffled(candidates: readonly DeploymentState[], { random }: Choice): readonly DeploymentState[] {
  for (const name of weights) {
    const total = candidates.reduce((sum, { rules }) => sum + (rules[name] ?? 0), 0);
    if (total <= 0) continue;
    let left = random() * total;
    const chosen = candidates.find(({ rules }) => (left -= rules[name] ?? 0) < 0);
    return chosen ? [chosen] : candidates;
  }
  return candidates;
}

const evenly = (candidates: readonly DeploymentState[], { random }: Choice): DeploymentState | undefined =>
  candidates[candidates.length === 1 ? 0 : Math.floor(random() * candidates.length)];
