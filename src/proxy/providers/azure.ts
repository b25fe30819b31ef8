import type { Deployment } from '../../models/deployment.ts';
import type { Dialect } from '../upstream.ts';
import { pathOf } from './paths.ts';

/** The version of the last general release that has all kinds of calls, where a deployment names none. */
const usualVersion = '2024-10-21';

/** Azure's newer interface: the deployment is named in the body, as a model is. */
const isUnversioned = ({ apiBase = '' }: Deployment): boolean => apiBase.endsWith('/openai/v1');

/** How much of `/openai` the operator has not written into the api_base. */
const resourceOf = ({ apiBase = '' }: Deployment): '' | '/openai' => (apiBase.endsWith('/openai') ? '' : '/openai');

const isBelowDeployment = ({ apiBase = '' }: Deployment): boolean => /\/openai\/deployments\/[^/]+$/.test(apiBase);

/** How much of `/openai/deployments/x` the operator has written into the api_base. */
function headOf(deployment: Deployment, upstreamModel: string): '' | `/${string}` {
  if (isBelowDeployment(deployment)) return '';
  const deployments = `/deployments/${encodeURIComponent(upstreamModel)}` as const;
  return `${resourceOf(deployment)}${deployments}`;
}

/** Azure OpenAI: OpenAI's calls below the deployment of a resource, with a version and a header of its own for the key. */
export const azure: Dialect = {
  pathOf: (request) => {
    const { deployment, upstreamModel } = request;
    const path = pathOf(request);
    if (path === undefined || isUnversioned(deployment)) return path;
    // Responses, files and batches are kept by the resource, and name their deployment inside.
    if (/^\/(?:responses|files|batches)/.test(path))
      return isBelowDeployment(deployment) ? undefined : `${resourceOf(deployment)}${path}`;
    return `${headOf(deployment, upstreamModel)}${path}`;
  },
  queryOf: (deployment) => {
    const version = deployment.params['api_version'];
    if (typeof version === 'string') return ['api-version', version];
    return isUnversioned(deployment) ? undefined : ['api-version', usualVersion];
  },
  authorize: (apiKey) => ['api-key', apiKey],
};
