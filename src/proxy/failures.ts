import type { IncomingHttpHeaders } from 'node:http';
import { errors } from 'undici';
import { AddressRefused } from '../egress/guard.ts';
import { GatewayError } from '../kernel/errors.ts';
import { isRecord } from '../kernel/record.ts';
import type { ErrorKind } from '../kernel/errors.ts';
import type { Deployment } from '../models/deployment.ts';
import type { FailureKind } from '../routing/failure.ts';
import { isOfCredential } from './credential-refusal.ts';
import { passedHeaders } from './headers.ts';
import { secretsOf } from './secrets.ts';

const longestMessage = 2_048;
const plainName = /^[\w.-]{1,64}$/;

/** What keys look like: ours, the providers', and any run of 32 letters and digits. A provider quotes a bad key back. */
const keyLike =
  /\b(?:sk|pk|rk|key|gsk|xai|hf|nvapi|r8)[-_][\w*.-]{6,}|\b(?:AIza|AKIA|ASIA)[\w-]{8,}|\bBearer\s+\S+|\/\/[^/\s@]*@|\b[A-Za-z0-9]{32,}/g;

/** A text of an upstream without anything that looks like a credential, and none of those that were used either. */
export function scrub(text: string, deployment: Deployment): string {
  const clean = secretsOf(deployment).redact(text).replaceAll(keyLike, '[redacted]');
  return clean.length > longestMessage ? `${clean.slice(0, longestMessage - 1)}…` : clean;
}

/** A redirect, say: whoever answers so does it again. */
export class UnfitStatus extends GatewayError {
  constructor(status: number) {
    super('upstream', 'upstream_invalid_response', `The upstream answered HTTP ${status}, which is no answer`);
  }
}

/** An upstream's own error. It keeps the upstream's `code`, because programs look there for `context_length_exceeded`. */
export class UpstreamError extends GatewayError {
  readonly code: string | undefined;

  constructor(error: GatewayError, code: string | undefined) {
    const { message, param, status, headers, cause } = error;
    super(error.kind, error.type, message, { param, status, headers, cause });
    this.code = code;
  }

  override toJSON() {
    const { error } = super.toJSON();
    return { error: { ...error, code: this.code ?? error.code } };
  }
}

function parse(body: string): unknown {
  try {
    return JSON.parse(body);
  } catch {
    // An error page: its status says what there is to say.
    return undefined;
  }
}

function pairs(list: readonly string[]): Record<string, string> {
  const record: Record<string, string> = {};
  for (let index = 0; index + 1 < list.length; index += 2) record[list[index] ?? ''] = list[index + 1] ?? '';
  return record;
}

function kindFor(status: number): ErrorKind {
  if (status === 429) return 'limited';
  return status >= 500 ? 'upstream' : 'invalid';
}

export interface UpstreamAnswer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
  /** Whose credentials the call was made with. */
  readonly deployment: Deployment;
}

/** What to tell the client when the upstream answered with an error: the same status, in OpenAI's shape. */
export function refusedByUpstream({ status, headers, body, deployment }: UpstreamAnswer): GatewayError {
  const parsed = parse(body);
  const error = isRecord(parsed) ? (parsed['error'] ?? parsed) : undefined;
  return errorFrom(error, {
    status,
    deployment,
    headers: pairs(passedHeaders(headers, secretsOf(deployment))),
    all: headers,
  });
}

/** What an upstream says inside of a stream: there the status is lost, and only the text is left. */
export function refusedInStream(error: unknown, deployment: Deployment): GatewayError {
  return errorFrom(error, { status: 502, deployment, headers: {}, all: {} });
}

interface Refusal {
  readonly status: number;
  readonly deployment: Deployment;
  /** That the client may see. */
  readonly headers: Record<string, string>;
  readonly all: IncomingHttpHeaders;
}

function errorFrom(error: unknown, { status, deployment, headers, all }: Refusal): GatewayError {
  const said = isRecord(error) ? error : { message: error };
  const text =
    typeof said['message'] === 'string' && said['message'] !== '' ? scrub(said['message'], deployment) : undefined;
  // It is the gateway's credential that was turned down: to pass 401 on would tell the client that its own key is bad.
  if (status === 401 || (status === 403 && isOfCredential(said, all))) {
    return new GatewayError('upstream', 'upstream_auth_error', upstreamSays('refused the gateway’s credentials', text));
  }
  if (status === 403) {
    return new GatewayError('upstream', 'upstream_permission_denied', upstreamSays('does not permit this call', text));
  }
  if (status < 400 || status > 599) return new UnfitStatus(status);
  const { type, param, code } = said;
  const made = new GatewayError(
    kindFor(status),
    nameIn(type, deployment) ?? 'upstream_error',
    text ?? `The upstream answered HTTP ${status}`,
    { status, headers, param: typeof param === 'string' ? scrub(param, deployment).slice(0, 256) : undefined },
  );
  return new UpstreamError(made, nameIn(code, deployment));
}

/** A type or a code, which stands in the log too: as long as it is a name, and no credential that is repeated there. */
const nameIn = (given: unknown, deployment: Deployment): string | undefined =>
  typeof given === 'string' && plainName.test(given) && scrub(given, deployment) === given ? given : undefined;

const pretences: Readonly<Partial<Record<FailureKind, readonly [status: number, code: string]>>> = {
  context_window: [400, 'context_length_exceeded'],
  content_policy: [400, 'content_policy_violation'],
  rate_limit: [429, 'rate_limit_exceeded'],
};

/** A failure that an administrator has asked for, so as to see where calls go then. */
export function pretended(kind: FailureKind): GatewayError {
  const [status, code] = pretences[kind] ?? [500, 'internal_server_error'];
  const error = new GatewayError(
    kindFor(status),
    'mock_testing_error',
    'This attempt was to fail, as the request says',
    {
      status,
    },
  );
  return new UpstreamError(error, code);
}

const upstreamSays = (what: string, text: string | undefined): string =>
  text ? `The upstream ${what}: ${text}` : `The upstream ${what}`;

/** Refuses what a credential stands in that the call was made with: whoever calls a model must not be handed it. */
export function refuseCredential(bytes: Buffer, deployment: Deployment): void {
  if (secretsOf(deployment).areIn(bytes)) throw invalidAnswer('repeats the gateway’s credentials');
}

export const invalidAnswer = (what: string, cause?: unknown): GatewayError =>
  new GatewayError('upstream', 'upstream_invalid_response', `The upstream’s answer ${what}`, { cause });

const timeouts: ReadonlySet<unknown> = new Set([
  'UND_ERR_CONNECT_TIMEOUT',
  'UND_ERR_HEADERS_TIMEOUT',
  'UND_ERR_BODY_TIMEOUT',
  'ETIMEDOUT',
]);
const unusable: ReadonlySet<unknown> = new Set([
  'UND_ERR_HEADERS_OVERFLOW',
  'UND_ERR_RES_CONTENT_LENGTH_MISMATCH',
  // What undici says of a status below 100.
  'ERR_ASSERTION',
]);

/** Descriptors or ports of this machine have run out, which says nothing of the upstream. */
const exhausted: ReadonlySet<unknown> = new Set(['EMFILE', 'ENFILE', 'EADDRNOTAVAIL', 'ENOBUFS']);

/** What to tell the client when the connection failed. `cause` has the rest, for the log: it may name our own hosts. */
export function connectionFailure(cause: Error): GatewayError {
  const code = 'code' in cause ? cause.code : undefined;
  if (timeouts.has(code)) {
    return new GatewayError('upstreamTimeout', 'upstream_timeout', 'The upstream did not answer in time', { cause });
  }
  if (exhausted.has(code)) {
    return new GatewayError(
      'unavailable',
      'overloaded',
      'The gateway has no connection to an upstream left for this call',
      { headers: { 'retry-after': '1' }, cause },
    );
  }
  if (unusable.has(code) || cause instanceof errors.HTTPParserError) {
    return invalidAnswer('is not valid HTTP', cause);
  }
  if (cause instanceof AddressRefused) {
    return new GatewayError(
      'upstream',
      'upstream_address_refused',
      'The gateway does not connect to where this model is set up to be',
      { hint: 'The log of the gateway says why, and what to set.', cause },
    );
  }
  return new GatewayError('upstream', 'upstream_unreachable', 'The upstream could not be reached, or hung up', {
    cause,
  });
}

/** In the middle of a stream every trouble with the upstream has one name, which clients can look for. */
export function interruption(error: GatewayError): GatewayError {
  if (!error.type.startsWith('upstream_')) return error;
  return new GatewayError('upstream', 'upstream_interrupted', `The stream was interrupted. ${error.message}`, {
    cause: error,
  });
}
