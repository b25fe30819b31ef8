import { readFile } from 'node:fs/promises';
import { GatewayError } from '../kernel/errors.ts';
import { secretsOf } from '../proxy/secrets.ts';
import { dialects } from './dialects.ts';
import { googleTokens } from './google-token.ts';
import { firstOf, misconfigured, requireBase, type Variable } from './provider-targets.ts';
import { deploymentOf, type Target } from './target.ts';

const projectFrom = ['VERTEXAI_PROJECT', 'DEFAULT_VERTEXAI_PROJECT'];
const locationFrom = ['VERTEXAI_LOCATION', 'DEFAULT_VERTEXAI_LOCATION'];
const fileFrom = ['DEFAULT_GOOGLE_APPLICATION_CREDENTIALS', 'GOOGLE_APPLICATION_CREDENTIALS'];
const endpointFrom = ['VERTEXAI_API_BASE', 'VERTEX_API_BASE'];

const place = /^\/v1(?:beta1)?\/projects\/([\w.:-]{1,64})\/locations\/([a-z0-9-]{1,32})\//;

/** Vertex AI: the operator's service account, its project, and the location that the path names. */
export function vertexTarget(variable: Variable): Target {
  const name = 'vertex_ai';
  const project = firstOf(projectFrom, variable);
  const location = firstOf(locationFrom, variable);
  const file = firstOf(fileFrom, variable);
  const endpoint = firstOf(endpointFrom, variable);
  const deployment = deploymentOf({ name, provider: name, apiKey: undefined });
  const free = deploymentOf({ name, provider: name, apiKey: undefined, costPerRequest: 0 });
  const learned = (secret: string) => [deployment, free].forEach((each) => secretsOf(each).learn(secret));
  const token =
    file === undefined
      ? undefined
      : googleTokens({ read: () => readAccount(file), isPrivate: true, unusable, learned });
  return {
    name,
    baseFor: (rest) => {
      if (project === undefined) throw misconfigured(name, projectFrom, 'is not set');
      if (file === undefined) throw misconfigured(name, fileFrom, 'is not set');
      const [, asked, where] = place.exec(rest) ?? [];
      if (where === undefined || asked !== project) throw elsewhere(project);
      if (endpoint !== undefined) return requireBase(endpoint, name, endpointFrom);
      const host = where === 'global' ? 'aiplatform' : `${where}-aiplatform`;
      return { origin: `https://${host}.googleapis.com`, path: '' };
    },
    dialect: dialects.vertex,
    shownBase: '',
    isPrivate: endpoint !== undefined,
    grantedAs: name,
    deployment,
    free,
    headers: [],
    forwards: ['anthropic-beta', 'x-goog-api-client'],
    query: {},
    restOf: (rest) =>
      rest.startsWith('/publishers/') && project !== undefined && location !== undefined
        ? `/v1/projects/${project}/locations/${location}${rest}`
        : rest,
    timeoutMs: undefined,
    ...(token && { sign: async (_, send) => ['authorization', `Bearer ${await token(send)}`] }),
  };
}

/** The operator's account may reach more than this project, and the callers are not to. */
const elsewhere = (project: string): GatewayError =>
  new GatewayError('invalid', 'invalid_request_error', 'The path names no place of this gateway’s project', {
    hint: `It begins with /v1/projects/${project}/locations/<location>/.`,
  });

const readAccount = (file: string): Promise<string> =>
  readFile(file, 'utf8').catch(() => {
    throw unusable('its file cannot be read');
  });

const unusable = (what: string): GatewayError =>
  new GatewayError('upstream', 'upstream_misconfigured', `The credential for vertex_ai cannot be used: ${what}`, {
    hint: `Name the file of a service account in ${fileFrom.join(' or ')}.`,
  });
