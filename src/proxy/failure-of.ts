import type { GatewayError } from '../kernel/errors.ts';
import type { Failure, FailureKind } from '../routing/failure.ts';
import { UnfitStatus, UpstreamError } from './failures.ts';

/**
 * What a failed attempt means for the next one; undefined where nothing of the upstream's has failed: a client that left,
 * a shutdown, a fault of our own.
 */
export function failureOf(error: GatewayError): Failure | undefined {
  const kind = kindOf(error);
  return kind && { kind, retryAfterMs: retryAfterOf(error.headers) };
}

const misconfigured: ReadonlySet<string> = new Set(['upstream_misconfigured', 'upstream_address_refused']);

function kindOf(error: GatewayError): FailureKind | undefined {
  if (error.kind === 'upstreamTimeout') return 'timeout';
  if (error instanceof UpstreamError) return kindOfStatus(error);
  if (error.type === 'upstream_auth_error') return 'authentication';
  if (error.type === 'upstream_permission_denied') return 'permission';
  // The operator's to put right: to ask there again is in vain.
  if (misconfigured.has(error.type) || error instanceof UnfitStatus) return 'not_found';
  // Nobody may have a deployment left out by asking for what it answers in files.
  if (error.type === 'unsupported_endpoint' || error.type === 'unsupported_answer') return 'bad_request';
  return error.kind === 'upstream' ? 'server' : undefined;
}

function kindOfStatus(error: UpstreamError): FailureKind {
  const { status } = error;
  if (status === 429) return 'rate_limit';
  if (status === 408) return 'timeout';
  if (status >= 500) return 'server';
  // Of a file, say, that the client made up: nobody may have a deployment left out by asking for what is not there.
  if (status === 404) return isModel(error) ? 'not_found' : 'bad_request';
  if (contextTexts.test(`${error.code ?? ''} ${error.message}`)) return 'context_window';
  return policyTexts.test(`${error.code ?? ''} ${error.type} ${error.message}`) ? 'content_policy' : 'bad_request';
}

/** Or a page of a server that is not the upstream at all, which says nothing. */
const isModel = ({ code, type }: UpstreamError): boolean =>
  code === undefined ? type === 'upstream_error' : /^(?:model_not_found|DeploymentNotFound)$/i.test(code);

/** As OpenAI, Azure, Anthropic and the open servers say it. */
const contextTexts =
  /context_length_exceeded|context (?:length|window)|maximum (?:context|input|prompt)|(?:prompt|input) is too long|too many (?:input )?tokens/i;
const policyTexts = /content_policy|content_filter|content management policy|safety system|responsible ?ai/i;

/** In milliseconds. */
function retryAfterOf(headers: Readonly<Record<string, string>>): number | undefined {
  const exact = Number(headers['retry-after-ms'] ?? Number.NaN);
  if (exact >= 0) return exact;
  const given = headers['retry-after'];
  if (given === undefined) return undefined;
  // Or a date, with the name of its day. Date.parse would read one in `-5` too.
  const isDate = /^[a-z]{3}/i.test(given);
  const ms = isDate ? Date.parse(given) - Date.now() : Number(given) * 1_000;
  return Number.isFinite(ms) ? Math.max(0, ms) : undefined;
}
