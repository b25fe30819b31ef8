import { GatewayError } from '../../kernel/errors.ts';
import type { Deployment } from '../../models/deployment.ts';
import type { Endpoint } from '../endpoints/endpoint.ts';

/** Where no deployment of a model can answer a call of that kind. */
export function notServed(
  { path }: Pick<Endpoint, 'path'>,
  deployments: readonly Pick<Deployment, 'name' | 'provider'>[],
): GatewayError {
  const providers = [...new Set(deployments.map(({ provider }) => provider))];
  const why =
    providers.length === 1
      ? `Its provider, ${providers[0]}, has no such endpoint.`
      : `None of its providers (${providers.join(', ')}) has such an endpoint.`;
  return new GatewayError('invalid', 'unsupported_endpoint', `Model ${deployments[0]?.name} does not serve ${path}`, {
    param: 'model',
    hint: `${why} Ask for another model.`,
  });
}
