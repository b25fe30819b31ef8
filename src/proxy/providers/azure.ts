import type { Deployment } from '../../models/deployment.ts';
import type { Dialect } from '../upstream.ts';

/** The version of the last general release that has all kinds of calls, where a deployment names none. */
const usualVersion = '2024-10-21';

/** Azure's newer interface: the deployment is named in the body, as a model is. */
const isUnversioned = ({ apiBase = '' }: Deployment): boolean => apiBase.endsWith('/openai/v1');

/** How much of `/openai/deployments/x` the operator has written into the api_base. */
function headOf(deployment: Deployment, upstreamModel: string): '' | `/${string}` {
  const { apiBase = '' } = deployment;
  if (isUnversioned(deployment) || /\/openai\/deployments\/[^/]+$/.test(apiBase)) return '';
  const deployments = `/deployments/${encodeURIComponent(upstreamModel)}` as const;
  return apiBase.endsWith('/openai') ? deployments : `/openai${deployments}`;
}

/** Azure OpenAI: OpenAI's calls below the deployment of a resource, with a version and a header of its own for the key. */
export const azure: Dialect = {
  pathOf: ({ deployment, upstreamModel, endpoint }) => `${headOf(deployment, upstreamModel)}${endpoint.path}`,
  queryOf: (deployment) => {
    const version = deployment.params['api_version'];
    if (typeof version === 'string') return ['api-version', version];
    return isUnversioned(deployment) ? undefined : ['api-version', usualVersion];
  },
  authorize: (apiKey) => ['api-key', apiKey],
};
