import { GatewayError } from '../kernel/errors.ts';
import type { DeploymentState } from './deployment-state.ts';
import type { RoutingSettings } from './routing-settings.ts';

/** The tag of deployments for calls that no other is for. */
const usual = 'default';

/**
 * The deployments that are for the tags of a call, as LiteLLM has it: those with a tag in common, else those tagged
 * `default`; for a call without tags those tagged `default`, else all.
 *
 * @throws GatewayError 401 when there is none, in LiteLLM's words and status
 */
export function withTags(
  states: readonly DeploymentState[],
  { model, tags }: { readonly model: string; readonly tags: readonly string[] },
  { tagFiltering, matchesAnyTag }: Pick<RoutingSettings, 'tagFiltering' | 'matchesAnyTag'>,
): readonly DeploymentState[] {
  if (!tagFiltering) return states;
  const isMeant = ({ rules }: DeploymentState): boolean =>
    matchesAnyTag
      ? tags.some((tag) => rules.tags.includes(tag))
      : rules.tags.length > 0 && tags.every((tag) => rules.tags.includes(tag));
  const meant = tags.length === 0 ? [] : states.filter(isMeant);
  if (meant.length > 0) return meant;
  const usuals = states.filter(({ rules }) => rules.tags.includes(usual));
  if (usuals.length > 0) return usuals;
  if (tags.length === 0) return states;
  throw new GatewayError(
    'unauthenticated',
    'no_deployments_with_tags',
    `Not allowed to access model ${model}: no deployments with tag routing for the tags of this call`,
    { param: 'tags', hint: 'Use tags that a deployment of the model has, or ask for one that is tagged default.' },
  );
}
