import { readFile } from 'node:fs/promises';
import { type Deployment, mayBePrivate } from '../models/deployment.ts';
import { googleTokens } from '../passthrough/google-token.ts';
import { secretsOf } from '../proxy/secrets.ts';
import type { Transport } from '../proxy/upstream.ts';
import { misconfigured, type Place, placeOf } from './place.ts';

export interface Vertex extends Place {
  /** For the project's service account. */
  token(): Promise<string>;
}

/** The project and the location of a deployment of Vertex AI, and its service account. */
export function vertexOf(deployment: Deployment, transport: Transport): Vertex {
  const project = wordOf(deployment, 'vertex_project', /^[\w.:-]{1,64}$/);
  const location = wordOf(deployment, 'vertex_location', /^[a-z0-9-]{1,32}$/);
  const host = location === 'global' ? 'aiplatform' : `${location}-aiplatform`;
  const path = `/v1/projects/${project}/locations/${location}`;
  const token = googleTokens({
    read: () => accountOf(deployment),
    isPrivate: mayBePrivate(deployment, true),
    learned: (secret) => secretsOf(deployment).learn(secret),
    unusable: (what) => misconfigured(deployment, `its vertex_credentials: ${what}`),
  });
  return {
    ...placeOf(deployment, `https://${host}.googleapis.com`, path),
    token: () => token(transport),
  };
}

function wordOf(deployment: Deployment, name: string, pattern: RegExp): string {
  const value = deployment.params[name];
  if (value === undefined) throw misconfigured(deployment, `its ${name} is missing`);
  if (typeof value === 'string' && pattern.test(value)) return value;
  throw misconfigured(deployment, `its ${name} is not usable`);
}

/** The account itself or, in the operator's own file, the name of the file that it is in. */
async function accountOf(deployment: Deployment): Promise<string> {
  const given = deployment.secrets?.vertex_credentials ?? deployment.apiKey;
  if (!given) throw misconfigured(deployment, 'its vertex_credentials are missing');
  if (given.trimStart().startsWith('{') || deployment.source !== 'config') return given;
  return readFile(given, 'utf8').catch(() => {
    throw misconfigured(deployment, 'the file in its vertex_credentials cannot be read');
  });
}
