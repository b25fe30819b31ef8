import { readFile } from 'node:fs/promises';
import { GatewayError } from '../kernel/errors.ts';
import { isRecord } from '../kernel/record.ts';
import { collect, type Sender } from './collect.ts';
import { dialects } from './dialects.ts';
import { firstOf, misconfigured, requireBase, type Variable } from './provider-targets.ts';
import { deploymentOf, type Target } from './target.ts';
import { baseOf } from './upstream-target.ts';

const projectFrom = ['VERTEXAI_PROJECT', 'DEFAULT_VERTEXAI_PROJECT'];
const locationFrom = ['VERTEXAI_LOCATION', 'DEFAULT_VERTEXAI_LOCATION'];
const fileFrom = ['DEFAULT_GOOGLE_APPLICATION_CREDENTIALS', 'GOOGLE_APPLICATION_CREDENTIALS'];
const endpointFrom = ['VERTEXAI_API_BASE', 'VERTEX_API_BASE'];

const place = /^\/v1(?:beta1)?\/projects\/([\w.:-]{1,64})\/locations\/([a-z0-9-]{1,32})\//;
const scope = 'https://www.googleapis.com/auth/cloud-platform';
/** Tokens live for an hour; one that is about to end is not begun with. */
const renewMs = 300_000;
const mostTokenBytes = 64 * 1024;

/** Vertex AI: the operator's service account, its project, and the location that the path names. */
export function vertexTarget(variable: Variable): Target {
  const name = 'vertex_ai';
  const project = firstOf(projectFrom, variable);
  const location = firstOf(locationFrom, variable);
  const file = firstOf(fileFrom, variable);
  const endpoint = firstOf(endpointFrom, variable);
  const token = file === undefined ? undefined : tokenOf(file);
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
    deployment: deploymentOf({ name, provider: name, apiKey: undefined }),
    free: deploymentOf({ name, provider: name, apiKey: undefined, costPerRequest: 0 }),
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

/** An access token for a service account, fetched when one is needed and kept until it is nearly over. */
function tokenOf(file: string): (send: Sender) => Promise<string> {
  let kept: Promise<{ readonly token: string; readonly untilMs: number }> | undefined;
  return async (send) => {
    const found = await kept?.catch(() => undefined);
    if (found && Date.now() < found.untilMs) return found.token;
    kept = fetchToken(file, send);
    return (await kept).token;
  };
}

async function fetchToken(file: string, send: Sender) {
  const account = await readAccount(file);
  const { importPKCS8, SignJWT } = await import('jose');
  const now = Math.floor(Date.now() / 1_000);
  const assertion = await new SignJWT({ scope })
    .setProtectedHeader({ alg: 'RS256', ...(account.keyId !== undefined && { kid: account.keyId }) })
    .setIssuer(account.email)
    .setAudience(account.tokenUri)
    .setIssuedAt(now)
    .setExpirationTime(now + 3_600)
    .sign(await importPKCS8(account.privateKey, 'RS256'));
  const base = baseOf(account.tokenUri);
  if (!base) throw unusable('its token_uri is no plain URL');
  const form = new URLSearchParams({ grant_type: 'urn:ietf:params:oauth:grant-type:jwt-bearer', assertion });
  const { status, body } = await collect(send, mostTokenBytes, {
    origin: base.origin,
    path: base.path,
    method: 'POST',
    headers: ['content-type', 'application/x-www-form-urlencoded', 'accept', 'application/json'],
    body: Buffer.from(String(form)),
    // The file is the operator's own.
    isPrivate: true,
  });
  const answer = parse(body.toString());
  const token = isRecord(answer) ? answer['access_token'] : undefined;
  const lives = isRecord(answer) ? Number(answer['expires_in'] ?? 3_600) : 0;
  if (status !== 200 || typeof token !== 'string') throw unusable(`Google answered with ${status}`);
  return { token, untilMs: Date.now() + lives * 1_000 - renewMs };
}

async function readAccount(file: string) {
  const text = await readFile(file, 'utf8').catch(() => {
    throw unusable('its file cannot be read');
  });
  const given = parse(text);
  if (!isRecord(given)) throw unusable('its file is not JSON');
  const { type, client_email: email, private_key: privateKey, private_key_id: keyId, token_uri: tokenUri } = given;
  if (type !== 'service_account' || typeof email !== 'string' || typeof privateKey !== 'string') {
    throw unusable('only the file of a service account is taken');
  }
  return {
    email,
    privateKey,
    keyId: typeof keyId === 'string' ? keyId : undefined,
    tokenUri: typeof tokenUri === 'string' ? tokenUri : 'https://oauth2.googleapis.com/token',
  };
}

function parse(json: string): unknown {
  try {
    return JSON.parse(json);
  } catch {
    // Whoever asked says what is wrong with it: it is no object.
    return undefined;
  }
}

const unusable = (what: string): GatewayError =>
  new GatewayError('upstream', 'upstream_misconfigured', `The credential for vertex_ai cannot be used: ${what}`, {
    hint: `Name the file of a service account in ${fileFrom.join(' or ')}.`,
  });
