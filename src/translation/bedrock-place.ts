import type { Deployment } from '../models/deployment.ts';
import { misconfigured, type Place, placeOf } from './place.ts';

export function bedrockPlace(deployment: Deployment): Place & { readonly region: string } {
  const region = deployment.params['aws_region_name'];
  if (typeof region !== 'string' || !/^[a-z0-9-]{1,32}$/.test(region)) {
    throw misconfigured(deployment, `its aws_region_name is ${region === undefined ? 'missing' : 'no region'}`);
  }
  const suffix = region.startsWith('cn-') ? 'amazonaws.com.cn' : 'amazonaws.com';
  return { ...placeOf(deployment, `https://bedrock-runtime.${region}.${suffix}`), region };
}

/** One of the two ways in. An empty API key keeps the package from looking for one in the environment. */
export function bedrockSecrets(deployment: Deployment) {
  if (deployment.apiKey) return { apiKey: deployment.apiKey };
  const {
    aws_access_key_id: accessKeyId,
    aws_secret_access_key: secretAccessKey,
    aws_session_token: sessionToken,
  } = deployment.secrets ?? {};
  if (!accessKeyId || !secretAccessKey) {
    throw misconfigured(deployment, 'it needs an api_key, or aws_access_key_id and aws_secret_access_key');
  }
  return { apiKey: '', accessKeyId, secretAccessKey, ...(sessionToken !== undefined && { sessionToken }) };
}
