import { mostFallbacks, mostRetries, strategies, type Strategy } from '../routing/routing-settings.ts';
import { type Setting, seconds } from './setting.ts';
import * as value from './values.ts';

/** LiteLLM's second version of it differs from the first in how it is built. */
const aliases: ReadonlyMap<string, Strategy> = new Map([
  ['usage-based-routing-v2', 'usage-based-routing'],
  ['lowest-cost', 'cost-based-routing'],
]);

/** How a call finds its way, as far as one value says it; the rest is in routing.ts. */
export const routerSettings = {
  routingStrategy: {
    type: value.choice(strategies, aliases),
    default: 'simple-shuffle',
    env: ['GATEWAYCTL_ROUTING_STRATEGY'],
    file: ['gatewayctl.routing.strategy', 'router_settings.routing_strategy'],
    description: 'How one of several deployments of a model is chosen',
  },
  numRetries: {
    type: value.count(0, mostRetries),
    default: '2',
    env: ['GATEWAYCTL_NUM_RETRIES'],
    file: ['gatewayctl.routing.num_retries', 'router_settings.num_retries', 'litellm_settings.num_retries'],
    description: 'Further attempts of a call that an upstream has failed',
  },
  retryAfter: {
    type: value.timeOrNone,
    default: '0',
    env: ['GATEWAYCTL_RETRY_AFTER'],
    file: ['gatewayctl.routing.retry_after', seconds('router_settings.retry_after')],
    description: 'Shortest wait before the same deployment is tried again',
  },
  allowedFails: {
    type: value.count(0, 1_000_000),
    env: ['GATEWAYCTL_ALLOWED_FAILS'],
    file: ['gatewayctl.routing.allowed_fails', 'router_settings.allowed_fails', 'litellm_settings.allowed_fails'],
    description:
      'Failures within a minute that a deployment may have before it is left out; 3 unless its model has no other',
  },
  cooldownTime: {
    type: value.timeOrNone,
    default: '5s',
    env: ['GATEWAYCTL_COOLDOWN_TIME'],
    file: [
      'gatewayctl.routing.cooldown_time',
      seconds('router_settings.cooldown_time'),
      seconds('litellm_settings.cooldown_time'),
    ],
    description: 'How long a deployment that fails is left out',
  },
  disableCooldowns: {
    type: value.yesNo,
    default: 'false',
    env: ['GATEWAYCTL_DISABLE_COOLDOWNS'],
    file: ['gatewayctl.routing.disable_cooldowns', 'router_settings.disable_cooldowns'],
    description: 'Whether deployments that fail are called all the same',
  },
  maxFallbacks: {
    type: value.count(0, mostFallbacks),
    default: '5',
    env: ['GATEWAYCTL_MAX_FALLBACKS'],
    file: ['gatewayctl.routing.max_fallbacks', 'router_settings.max_fallbacks'],
    description: 'Other models at most that a call is tried at',
  },
  enableTagFiltering: {
    type: value.yesNo,
    default: 'false',
    env: ['GATEWAYCTL_ENABLE_TAG_FILTERING'],
    file: ['gatewayctl.routing.enable_tag_filtering', 'router_settings.enable_tag_filtering'],
    description: 'Whether a call with tags goes to deployments with such tags only',
  },
  tagFilteringMatchAny: {
    type: value.yesNo,
    default: 'true',
    env: ['GATEWAYCTL_TAG_FILTERING_MATCH_ANY'],
    file: ['gatewayctl.routing.tag_filtering_match_any', 'router_settings.tag_filtering_match_any'],
    description: 'Whether one tag in common is enough; otherwise a deployment must have all that the call has',
  },
  streamTimeout: {
    type: value.time,
    env: ['GATEWAYCTL_UPSTREAM_STREAM_TIMEOUT'],
    file: [
      'gatewayctl.upstream.stream_timeout',
      seconds('router_settings.stream_timeout'),
      seconds('litellm_settings.stream_timeout'),
    ],
    description: 'Longest wait for the first byte of a stream, where it is not that of other answers',
  },
} as const satisfies Record<string, Setting>;
