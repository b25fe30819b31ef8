import type { Deployment } from '../../models/deployment.ts';
import { type Routed, targetOf } from '../routing.ts';
import { compatible } from './compatible.ts';
import { plays } from './mock.ts';
import type { Destination } from './provider.ts';
import { isCountedHere, isEmbeddedApart, isTranslated } from './translated.ts';

/**
 * Whether a deployment can answer a call: the one place that says so, for routing and for who asks how it would go. What
 * no provider is known of is sent, and refused as what is wrong with its setting.
 */
export function serves(destination: Destination): boolean {
  const { provider } = destination.deployment;
  if (provider === 'mock') return plays(destination);
  if (isTranslated(destination) || isCountedHere(destination) || isEmbeddedApart(destination)) return true;
  const dialect = compatible.get(provider);
  return dialect === undefined || dialect.pathOf(destination) !== undefined;
}

/** The deployments of a model that can answer a call. */
export function servable(routed: Routed, call: Pick<Destination, 'endpoint' | 'asked'>): readonly Deployment[] {
  const { deployments } = routed.group;
  const can = (each: Deployment): boolean =>
    serves({ ...targetOf(routed, each), endpoint: call.endpoint, asked: call.asked });
  const [only] = deployments;
  if (deployments.length === 1 && only) return can(only) ? deployments : [];
  return deployments.every(can) ? deployments : deployments.filter(can);
}
