import type { PassThroughEndpoint } from '../kernel/pass-through.ts';
import { dialects } from './dialects.ts';
import { deploymentOf, type Target } from './target.ts';
import { requireBase } from './provider-targets.ts';
import { namesCredential } from './upstream-target.ts';

/** Whose API a target is, by its host: then its answers say what calls cost, and its bodies which model they are for. */
const hosts: readonly (readonly [host: RegExp, provider: string, dialect: keyof typeof dialects])[] = [
  [/^api\.openai\.com$/, 'openai', 'openai'],
  [/\.openai\.azure\.com$/, 'azure', 'openai'],
  [/^api\.anthropic\.com$/, 'anthropic', 'anthropic'],
  [/^generativelanguage\.googleapis\.com$/, 'gemini', 'gemini'],
  [/^(?:[a-z0-9-]+-)?aiplatform\.googleapis\.com$/, 'vertex_ai', 'vertex'],
  [/^bedrock-(?:agent-)?runtime\.[a-z0-9-]+\.amazonaws\.com$/, 'bedrock', 'bedrock'],
  [/^api\.cohere\.(?:com|ai)$/, 'cohere', 'cohere'],
  [/^api\.mistral\.ai$/, 'mistral', 'reporting'],
  [/^api\.groq\.com$/, 'groq', 'reporting'],
  [/^api\.together\.(?:xyz|ai)$/, 'together', 'reporting'],
];

/** Where an operator's own endpoint leads. A price for each request is what its calls are booked at, whatever they say. */
export function configuredTarget(endpoint: PassThroughEndpoint): Target {
  const { path: name, target, headers, forwardHeaders, costPerRequest, defaultQueryParams, timeout } = endpoint;
  const base = requireBase(target, name, ['target']);
  const [, provider, dialect] = hosts.find(([host]) => host.test(new URL(target).hostname)) ?? [];
  const priced = {
    name,
    provider: provider ?? 'pass_through',
    apiKey: undefined,
    otherSecrets: secretsIn(headers, defaultQueryParams),
    ...(costPerRequest !== null && { costPerRequest }),
  };
  const deployment = deploymentOf(priced);
  return {
    name,
    isOperators: true,
    grantedAs: provider,
    baseFor: () => base,
    dialect: dialect && dialects[dialect],
    shownBase: base.path,
    isPrivate: endpoint.allowPrivateNetwork,
    deployment,
    // Of an API that nobody here knows, a look at something may be what is paid for: a search, for one.
    free: costPerRequest === null && dialect ? deploymentOf({ ...priced, costPerRequest: 0 }) : deployment,
    headers: Object.entries(headers).flatMap(([header, value]) => [header.toLowerCase(), value]),
    forwards: forwardHeaders === true ? 'all' : (forwardHeaders || []).map((header) => header.toLowerCase()),
    query: defaultQueryParams,
    restOf: (rest) => rest,
    timeoutMs: timeout === null ? undefined : Math.ceil(timeout * 1_000),
  };
}

/** Headers that hold what may be in any answer, and lead to nothing. */
const openHeaders =
  /^(?:accept.*|content-.*|.*-version|.*-beta|x-title|x-app-name|(?:http-)?referer|origin|date|via|(?:x-)?forwarded.*)$/i;
const closedHeaders = /api[-_]?key|subscription-key|token|secret|password|credential|signature|auth|session|cookie/i;

/** Values of headers and of the query that nobody else is to have, without `Bearer`, and of Basic auth in the open too. */
function secretsIn(headers: Readonly<Record<string, string>>, query: Readonly<Record<string, string>>): string[] {
  const ofHeaders = Object.entries(headers).flatMap(([header, value]) => {
    if (!closedHeaders.test(header) && (openHeaders.test(header) || !looksMade(value))) return [];
    const [scheme, bare = value] = /^(Bearer|Basic|Token|Key|ApiKey) +(.+)$/i.exec(value)?.slice(1) ?? [];
    if (scheme?.toLowerCase() !== 'basic') return [bare];
    const pair = Buffer.from(bare, 'base64').toString();
    return [bare, pair, pair.slice(pair.indexOf(':') + 1)];
  });
  const ofQuery = Object.entries(query).flatMap(([parameter, value]) => (namesCredential(parameter) ? [value] : []));
  return [...ofHeaders, ...ofQuery];
}

/** Whether a value may be one that a generator made: a word with digits in it, and not a short one. */
const looksMade = (value: string): boolean => value.length >= 16 && /^[^\s]+$/.test(value) && /\d/.test(value);
