import { type Units, unitNames } from '../metering/units.ts';
import { noTokens, type Usage } from '../metering/usage.ts';
import type { Exchange } from './exchange.ts';

/**
 * What a call is booked with: what the upstream reported of all of it; else the larger of what it reported on the way and
 * what was counted here, because some report with the first chunk only. Nothing for what is free.
 */
export function usageOf(
  {
    usage,
    promptTokens,
    relay,
    asked,
    endpoint,
    upstream,
  }: Pick<Exchange, 'usage' | 'promptTokens' | 'relay' | 'asked' | 'endpoint' | 'upstream'>,
  counted: number,
): Usage | undefined {
  if (endpoint.isFree) return undefined;
  if (usage && relay?.isUsageFinal) return withUnits(usage, asked);
  const ofProvider = upstream?.counted;
  if (ofProvider?.isWhole) return withUnits(ofProvider.usage, asked);
  const soFar = usage ?? ofProvider?.usage;
  const isInputKnown = soFar && (ofProvider ?? relay?.isInputFinal);
  const estimate = withUnits(estimatedUsage(isInputKnown ? soFar.promptTokens : promptTokens, counted), asked);
  return withToolUnits(soFar ? largerUsage(soFar, estimate) : estimate, relay?.toolUnits);
}

/** What was asked for counts where the answer does not say how much of it was made. */
const withUnits = (usage: Usage, { units }: Pick<Exchange['asked'], 'units'>): Usage =>
  units ? { ...usage, units: { ...units, ...usage.units } } : usage;

/** What ran costs, told of at the end or not. @param seen in the stream */
function withToolUnits(usage: Usage, seen: Units | undefined): Usage {
  if (!seen) return usage;
  const units: { -readonly [Name in keyof Units]: Units[Name] } = { ...usage.units };
  for (const name of unitNames) {
    const amount = seen[name];
    if (amount !== undefined) units[name] = Math.max(amount, units[name] ?? 0);
  }
  return { ...usage, units };
}

/** The larger of two, bucket by bucket: the estimate has but two. */
function largerUsage(reported: Usage, estimate: Usage): Usage {
  const { promptTokens, completionTokens } = reported;
  if (promptTokens >= estimate.promptTokens && completionTokens >= estimate.completionTokens) return reported;
  return {
    ...reported,
    promptTokens: Math.max(promptTokens, estimate.promptTokens),
    completionTokens: Math.max(completionTokens, estimate.completionTokens),
    estimated: true,
  };
}

function estimatedUsage(promptTokens: number, completionTokens: number): Usage {
  return { ...noTokens, promptTokens, completionTokens, estimated: true };
}
