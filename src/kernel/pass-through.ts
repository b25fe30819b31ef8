import { z } from 'zod';
import { namesOwnVariable, ownVariableMessage } from './own-variables.ts';

/** An operator's own way through: requests to a path go to a target, with headers of the operator's. */
export interface PassThroughEndpoint {
  readonly id: string;
  readonly path: string;
  readonly target: string;
  /** Values resolved: what is sent. */
  readonly headers: Readonly<Record<string, string>>;
  /** Headers of the client that go on; `true` is all but credentials and what is for the next hop alone. */
  readonly forwardHeaders: boolean | readonly string[];
  readonly includeSubpath: boolean;
  readonly methods: readonly PassThroughMethod[];
  /** US dollars; null where the answers say what calls cost, or nobody does. */
  readonly costPerRequest: number | null;
  readonly defaultQueryParams: Readonly<Record<string, string>>;
  /** Seconds until the first byte of an answer; null is the daemon's own. */
  readonly timeout: number | null;
  /** Whether the target may be at an address that is not public. */
  readonly allowPrivateNetwork: boolean;
}

export const passThroughMethods = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE'] as const;
export type PassThroughMethod = (typeof passThroughMethods)[number];

/**
 * Paths that the gateway answers itself, the health checks and its own pages included: an endpoint on one of them would
 * never be called, or take the place of what decides who may do what.
 */
const own = new Set(
  (
    'access_group alert audit budget cache callbacks config credentials customer daemon docs end_user explain global health invitation jwt ' +
    'key login metrics model model_group openapi.json organization project public redoc routes settings spend sso tag team ' +
    'ui user utils v1/model v2/budget v2/customer v2/key v2/model v2/organization v2/tag v2/team v2/user'
  ).split(' '),
);

export function isOwnPath(path: string): boolean {
  const [first = '', second = ''] = path.split('/').slice(1);
  return own.has(first) || own.has(`${first}/${second}`) || path === '/v1' || path === '/v2';
}

/**
 * Variables that say where providers are and what they are called with, under LiteLLM's names. They may stand in the
 * environment of the daemon or in `environment_variables` of its file.
 */
export const providerVariables: ReadonlySet<string> = new Set(
  (
    'OPENAI_API_BASE OPENAI_BASE_URL OPENAI_API_KEY ANTHROPIC_API_BASE ANTHROPIC_BASE_URL ANTHROPIC_API_KEY ' +
    'AZURE_API_BASE AZURE_API_KEY GEMINI_API_BASE GEMINI_API_KEY GOOGLE_API_KEY COHERE_API_BASE COHERE_API_KEY CO_API_KEY ' +
    'MISTRAL_API_BASE MISTRAL_API_KEY HOSTED_VLLM_API_BASE VLLM_API_BASE HOSTED_VLLM_API_KEY VLLM_API_KEY ' +
    'ASSEMBLYAI_API_BASE ASSEMBLYAI_API_KEY GROQ_API_BASE GROQ_API_KEY TOGETHERAI_API_BASE TOGETHER_API_BASE ' +
    'TOGETHERAI_API_KEY TOGETHER_AI_API_KEY TOGETHER_API_KEY AWS_BEDROCK_RUNTIME_ENDPOINT AWS_REGION_NAME AWS_REGION ' +
    'AWS_DEFAULT_REGION AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY AWS_SESSION_TOKEN AWS_BEARER_TOKEN_BEDROCK ' +
    'VERTEXAI_API_BASE VERTEX_API_BASE VERTEXAI_PROJECT DEFAULT_VERTEXAI_PROJECT VERTEXAI_LOCATION ' +
    'DEFAULT_VERTEXAI_LOCATION DEFAULT_GOOGLE_APPLICATION_CREDENTIALS GOOGLE_APPLICATION_CREDENTIALS ' +
    'LANGFUSE_HOST LANGFUSE_BASE_URL LANGFUSE_PUBLIC_KEY LANGFUSE_SECRET_KEY'
  ).split(' '),
);

const printable = /^[\t\u0020-\u007e\u0080-\u00ff]*$/;

/** Names of headers that are the connection's, and no operator's to set. */
const ofConnection = new Set(
  'connection content-length expect host keep-alive te trailer transfer-encoding upgrade accept-encoding user-agent'.split(
    ' ',
  ),
);

const headerName = z
  .string()
  .regex(/^[A-Za-z0-9_-]{1,64}$/, 'must be names of headers')
  .refine((name) => !ofConnection.has(name.toLowerCase()), 'must not hold headers that belong to the connection');
const headerValue = z
  .string()
  .max(4_096)
  .regex(printable, 'must hold values that fit into a header')
  .refine((value) => !namesOwnVariable(value), ownVariableMessage);

/**
 * Never a client's to send on, whoever lists them: credentials, what is for the next hop alone, what names clients, and
 * what makes another request of one (a GET that costs nothing into a POST).
 */
const never =
  /^(?:authorization|cookie2?|host|content-length|transfer-encoding|te|trailer|upgrade|connection|keep-alive|expect|forwarded|via|date|origin|referer|user-agent|accept-encoding|content-encoding|x-real-ip|x-forwarded-.*|x-litellm-.*|x-http-method.*|x-method-override|proxy-.*|sec-.*|cf-.*|.*(?:api[-_]?key|subscription-key|token|secret|password|credential|signature|auth|session|cookie).*)$/i;

/** Whether a header of a client may be sent on at all. */
export const mayForward = (name: string): boolean => !never.test(name);

export const passThroughFields = {
  path: z
    .string()
    .max(200)
    .regex(
      /^(?:\/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)+$/,
      'must be a plain path such as /search, without a slash at its end',
    )
    .refine((path) => !isOwnPath(path), 'must not be a path of the gateway itself')
    .describe('The path clients call, such as /v1/rerank'),
  target: z
    .string()
    .max(2_000)
    .refine(isTarget, 'must be an http:// or https:// URL without a query, a fragment or a password')
    .describe('Where it leads: an http:// or https:// URL'),
  headers: z
    .record(headerName, headerValue)
    .describe('Headers sent with every call, by name; os.environ/NAME names a variable of the daemon'),
  defaultQueryParams: z
    .record(z.string().min(1).max(200), z.string().max(2_000))
    .describe('Query parameters sent where the client does not name them'),
  includeSubpath: z.boolean().describe('Whether paths below it lead to paths below the target'),
  forwardHeaders: z
    .union([
      z.boolean(),
      z
        .array(headerName.refine(mayForward, 'must not name headers that hold credentials or are the gateway’s to set'))
        .max(50),
    ])
    .describe('Headers of the client that are sent on, by name; true for all but credentials'),
  methods: z.array(z.enum(passThroughMethods)).min(1).describe('Methods it takes; all of them when absent'),
  costPerRequest: z
    .number()
    .min(0)
    .max(1_000)
    .describe('US dollars each call is booked at, whatever its answer says; 0 for what costs nothing'),
  timeout: z.number().positive().max(3_600).describe('Seconds until the first byte of an answer'),
  allowPrivateNetwork: z.boolean().describe('Whether the target may be at an address that is not public'),
  auth: z
    .literal(true, 'must be true: without a credential anybody could spend what the target costs')
    .describe('Whether a credential is needed; there is no other way'),
} as const;

function isTarget(text: string): boolean {
  if (!URL.canParse(text)) return false;
  const { protocol, username, password, search, hash } = new URL(text);
  return /^https?:$/.test(protocol) && username + password + search + hash === '' && !/[?#]/.test(text);
}

/** LiteLLM's pair of Langfuse's keys, written as two headers, is one of Basic auth. */
export function withLangfuseAuth(headers: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  const { LANGFUSE_PUBLIC_KEY: publicKey, LANGFUSE_SECRET_KEY: secretKey, ...others } = headers;
  if (publicKey === undefined || secretKey === undefined) return headers;
  return { ...others, Authorization: `Basic ${Buffer.from(`${publicKey}:${secretKey}`).toString('base64')}` };
}
