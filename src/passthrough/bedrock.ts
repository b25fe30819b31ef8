import { dialects } from './dialects.ts';
import { firstOf, misconfigured, requireBase, type Variable } from './provider-targets.ts';
import { deploymentOf, type Target, type Unsigned } from './target.ts';

const endpointFrom = ['AWS_BEDROCK_RUNTIME_ENDPOINT'];
const regionFrom = ['AWS_REGION_NAME', 'AWS_REGION', 'AWS_DEFAULT_REGION'];
const idFrom = ['AWS_ACCESS_KEY_ID'];
const secretFrom = ['AWS_SECRET_ACCESS_KEY'];
const bearerFrom = ['AWS_BEARER_TOKEN_BEDROCK'];

/** What runs models; agents and knowledge bases are at another host. */
const agents = /^\/(?:agents|knowledgebases|flows|retrieveAndGenerate|retrieveAndGenerateStream|rerank)(?:\/|$)/;

/** Amazon Bedrock: each request is signed with the operator's key, or has the operator's API key for it. */
export function bedrockTarget(variable: Variable): Target {
  const name = 'bedrock';
  const region = firstOf(regionFrom, variable);
  const accessKeyId = firstOf(idFrom, variable);
  const secretAccessKey = firstOf(secretFrom, variable);
  const bearer = firstOf(bearerFrom, variable);
  const sessionToken = firstOf(['AWS_SESSION_TOKEN'], variable);
  const endpoint = firstOf(endpointFrom, variable);
  const secrets = [bearer, accessKeyId, secretAccessKey, sessionToken].filter((each) => each !== undefined);
  const priced = { name, provider: 'bedrock', apiKey: undefined, otherSecrets: secrets };
  return {
    name,
    baseFor: (path) => {
      if (!bearer && !accessKeyId) throw misconfigured(name, [...idFrom, ...bearerFrom], 'is not set');
      if (!bearer && !secretAccessKey) throw misconfigured(name, secretFrom, 'is not set');
      if (region === undefined || !/^[a-z0-9-]{1,32}$/.test(region)) {
        throw misconfigured(name, regionFrom, region === undefined ? 'is not set' : 'is no region');
      }
      if (endpoint !== undefined) return requireBase(endpoint, name, endpointFrom);
      const host = agents.test(path) ? 'bedrock-agent-runtime' : 'bedrock-runtime';
      return { origin: `https://${host}.${region}.amazonaws.com`, path: '' };
    },
    dialect: dialects.bedrock,
    shownBase: '',
    isPrivate: endpoint !== undefined,
    grantedAs: name,
    deployment: deploymentOf(priced),
    free: deploymentOf({ ...priced, costPerRequest: 0 }),
    headers: bearer === undefined ? [] : ['authorization', `Bearer ${bearer}`],
    forwards: [
      'x-amzn-bedrock-accept',
      'x-amzn-bedrock-guardrailidentifier',
      'x-amzn-bedrock-guardrailversion',
      'x-amzn-bedrock-trace',
    ],
    query: {},
    restOf: (rest) => rest,
    timeoutMs: undefined,
    ...(bearer === undefined &&
      accessKeyId &&
      secretAccessKey && {
        sign: signer({
          accessKeyId,
          secretAccessKey,
          sessionToken,
          region: region ?? '',
        }),
      }),
  };
}

interface AwsCredentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken: string | undefined;
  readonly region: string;
}

/** Signature version 4. The library is loaded by the first call that needs it. */
const signer =
  ({ sessionToken, ...credentials }: AwsCredentials) =>
  async ({ method, url, headers, body }: Unsigned): Promise<readonly string[]> => {
    const { AwsV4Signer } = await import('aws4fetch');
    const pairs: [string, string][] = [];
    for (let index = 0; index + 1 < headers.length; index += 2) {
      // Bedrock counts on those of its own to be signed; the others may be changed on the way and are left out.
      if (headers[index]?.startsWith('x-am')) pairs.push([headers[index] ?? '', headers[index + 1] ?? '']);
    }
    const signed = await new AwsV4Signer({
      ...credentials,
      ...(sessionToken !== undefined && { sessionToken }),
      method,
      url,
      headers: pairs,
      body: new Uint8Array(body),
      service: 'bedrock',
    }).sign();
    return ['authorization', 'x-amz-date', 'x-amz-security-token'].flatMap((name) => {
      const value = signed.headers.get(name);
      return value === null ? [] : [name, value];
    });
  };
