import type { IncomingMessage, RequestOptions } from 'node:http';
import type { Route } from '../kernel/operation.ts';
import { GatewayError } from '../kernel/errors.ts';
import { redactLooks } from '../kernel/mask.ts';
import type { ConnectOptions, Daemon, Exchange } from './connection.ts';
import { clientVersion } from './version.ts';

/** Where a daemon listens. */
export type Address = { readonly url: string; readonly key?: string | undefined } | { readonly socketPath: string };

const connectTimeoutMs = 5_000;
const retries = 2;

/** More than any answer of the admin side, so that a wrong address cannot fill our memory. */
const largestAnswer = 256 * 1024 * 1024;

/**
 * Runs operations in a daemon, through its admin API. `node:http` and not `fetch`: it takes Unix sockets, and starts
 * in half the time.
 *
 * Reads are tried three times. Changes are sent once: an answer that was lost does not mean that nothing happened. With
 * an idempotency key they are tried like reads: the gateway does nothing twice.
 */
export function remote(address: Address, options: ConnectOptions): Daemon['ask'] {
  return async ({ route }, input) => {
    const request = requestFor(route, input);
    const attempts = route[0] === 'GET' || options.idempotencyKey !== undefined ? retries + 1 : 1;
    for (let attempt = 1; ; attempt++) {
      try {
        const answer = await exchange(address, request, options);
        if (answer.isReplayed) options.onReplay?.();
        return read(answer);
      } catch (error) {
        if (attempt >= attempts || !isPassing(error)) throw error;
        await pause(50 * 2 ** attempt * (0.5 + Math.random()));
      }
    }
  };
}

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/** Trouble that may be over in a moment. A refused connection is not: nobody listens there. */
const isPassing = (error: unknown): boolean =>
  error instanceof GatewayError && error.kind === 'unavailable' && error.type !== 'daemon_unreachable';

export interface Request {
  readonly method: string;
  /** Path and query, without the address's own prefix. */
  readonly path: string;
  readonly body: string | undefined;
}

/** An input as LiteLLM's routes take it: in the path, then in the query of a GET and in the body of anything else. */
export function requestFor([method, template]: Route, input: Readonly<Record<string, unknown>>): Request {
  const rest = { ...input };
  const path = template.replace(/:(\w+)/g, (_, name: string) => {
    const value = rest[name];
    delete rest[name];
    return encodeURIComponent(text(value));
  });
  if (method !== 'GET') return { method, path, body: JSON.stringify(rest) };

  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(rest))
    if (value !== undefined && value !== null) query.set(name, text(value));
  return { method, path: query.size > 0 ? `${path}?${query.toString()}` : path, body: undefined };
}

function text(value: unknown): string {
  if (Array.isArray(value)) return value.map(text).join(',');
  return typeof value === 'string' ? value : (JSON.stringify(value) ?? '');
}

interface Answer {
  readonly status: number;
  readonly text: string;
  readonly requestId: string | undefined;
  readonly isReplayed: boolean;
}

export function read({ status, text: received, requestId }: Answer): Record<string, unknown> {
  let body: unknown;
  try {
    body = JSON.parse(received);
  } catch {
    body = undefined;
  }
  if (status < 200 || status > 299) throw withRequestId(GatewayError.fromResponse(status, body), requestId);
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- what is inside travels as it is, to `render`
  if (typeof body === 'object' && body !== null) return body as Record<string, unknown>;
  throw withRequestId(
    new GatewayError('upstream', 'not_a_gateway', `what answered (HTTP ${status}) is not the admin API of a gateway.`, {
      hint: 'Is the address right? It is the one under which the daemon serves /key/list, without a path of its own.',
    }),
    requestId,
  );
}

const requestIdHeader = 'x-request-id';

function withRequestId(error: GatewayError, requestId: string | undefined): GatewayError {
  if (!requestId) return error;
  const { kind, type, message, param, hint, status, headers } = error;
  return new GatewayError(kind, type, message, {
    param,
    hint,
    status,
    headers: { ...headers, [requestIdHeader]: requestId },
    cause: error.cause,
  });
}

/** The id under which the daemon's log knows a failure. */
export const requestIdOf = (error: GatewayError): string | undefined => error.headers[requestIdHeader];

async function exchange(address: Address, request: Request, options: ConnectOptions): Promise<Answer> {
  const started = performance.now();
  const trace = (status: number | undefined, requestId: string | undefined, received: string) =>
    options.trace?.(
      masked({ ...request, sent: request.body ?? '', status, requestId, received, ms: performance.now() - started }),
    );
  try {
    const answer = await send(address, request, options);
    trace(answer.status, answer.requestId, answer.text);
    return answer;
  } catch (cause) {
    trace(undefined, undefined, '');
    throw unreachable(address, cause, options);
  }
}

const masked = ({ method, path, status, ms, requestId, sent, received }: Exchange): Exchange => ({
  method,
  path: redactLooks(path),
  status,
  ms,
  requestId,
  sent: redactLooks(sent),
  received: redactLooks(received),
});

async function send(address: Address, request: Request, options: ConnectOptions): Promise<Answer> {
  return collect(await dial(address, request, options, AbortSignal.timeout(options.timeoutMs)));
}

/** Sends a request. @returns what comes back, once its head is there */
export function dial(
  address: Address,
  { method, path, body }: Request,
  options: ConnectOptions,
  signal: AbortSignal,
): Promise<IncomingMessage> {
  const headers: Record<string, string> = { accept: 'application/json', 'user-agent': `gatewayctl/${clientVersion()}` };
  if ('url' in address && address.key) headers['authorization'] = `Bearer ${address.key}`;
  if (options.as) headers['litellm-changed-by'] = options.as;
  if (options.idempotencyKey !== undefined && method !== 'GET') headers['idempotency-key'] = options.idempotencyKey;
  if (body !== undefined) {
    headers['content-type'] = 'application/json';
    headers['content-length'] = String(Buffer.byteLength(body));
  }
  const { url, socketPath } = placeOf(address, path);
  // No kept-alive connection: the process would stay for it.
  const wanted: RequestOptions = { method, headers, agent: false, signal };
  if (socketPath !== undefined) wanted.socketPath = socketPath;
  // Not `import`: that asks a module for each of its members, and one of node:http's is all of undici, 35 ms.
  const { request } = process.getBuiltinModule(url.protocol === 'https:' ? 'node:https' : 'node:http');
  return new Promise((resolve, reject) => {
    const outgoing = request(url, wanted, resolve);
    outgoing.on('error', reject);
    outgoing.on('socket', (socket) => {
      if (!socket.connecting) return;
      const timer = setTimeout(() => socket.destroy(timedOut(connectTimeoutMs)), connectTimeoutMs);
      socket.once('connect', () => clearTimeout(timer)).once('close', () => clearTimeout(timer));
    });
    outgoing.end(body);
  });
}

const timedOut = (ms: number) =>
  Object.assign(new Error(`no connection within ${ms / 1_000} s`), { code: 'ETIMEDOUT' });

function placeOf(address: Address, path: string): { url: URL; socketPath?: string } {
  if ('socketPath' in address) return { url: new URL(path, 'http://localhost'), socketPath: address.socketPath };
  const base = new URL(address.url);
  if (base.protocol === 'unix:') return { url: new URL(path, 'http://localhost'), socketPath: base.pathname };
  // A gateway may live under a prefix of a bigger site.
  return { url: new URL(base.origin + base.pathname.replace(/\/$/, '') + path) };
}

export async function collect(incoming: IncomingMessage): Promise<Answer> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of incoming) {
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- a message without setEncoding yields buffers
    const bytes = chunk as Buffer;
    size += bytes.length;
    if (size > largestAnswer) throw new Error('the answer is too long');
    chunks.push(bytes);
  }
  const requestId = incoming.headers[requestIdHeader];
  return {
    status: incoming.statusCode ?? 0,
    text: Buffer.concat(chunks).toString('utf8'),
    requestId: typeof requestId === 'string' ? requestId : undefined,
    isReplayed: incoming.headers['idempotent-replayed'] === 'true',
  };
}

const reasons: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'connection refused',
  ENOTFOUND: 'no such host',
  EAI_AGAIN: 'the name cannot be looked up now',
  ENOENT: 'no such socket',
  ECONNRESET: 'the connection was cut',
  EHOSTUNREACH: 'no route to it',
  ENETUNREACH: 'no network',
  ETIMEDOUT: `no connection within ${connectTimeoutMs / 1_000} s`,
};

export function unreachable(address: Address, cause: unknown, { timeoutMs, command }: ConnectOptions): GatewayError {
  if (cause instanceof GatewayError) return cause;
  const where = 'url' in address ? address.url : address.socketPath;
  // node:http dresses the signal's TimeoutError up as an AbortError; nobody else aborts.
  if (cause instanceof Error && ['TimeoutError', 'AbortError'].includes(cause.name)) {
    return new GatewayError('timeout', 'deadline_exceeded', `${where} did not answer within ${timeoutMs / 1_000} s.`, {
      hint: 'Whether it did what was asked is not known. Allow it longer: --timeout 2m',
      cause,
    });
  }
  if (isRefusedHere(cause)) {
    return new GatewayError('unavailable', 'daemon_unreachable', `you may not open ${where} (permission denied).`, {
      hint: [
        `Who may?                 ls -l ${where}`,
        `As its owner             sudo gatewayctl ${command ?? '…'}`,
        'With a key?              --server https://…, or GATEWAYCTL_SERVER',
      ].join('\n'),
      cause,
    });
  }
  return new GatewayError('unavailable', 'daemon_unreachable', `cannot reach ${where} (${reasonOf(cause)}).`, {
    hint: [
      'Is the daemon running?   systemctl status gatewayctl',
      'Another machine?         --server https://…, or GATEWAYCTL_SERVER',
      `Without a daemon?        gatewayctl ${command ?? '…'} --direct`,
    ].join('\n'),
    cause,
  });
}

const isRefusedHere = (cause: unknown): boolean =>
  cause instanceof Error && 'code' in cause && (cause.code === 'EACCES' || cause.code === 'EPERM');

/** Node tries every address of a name and wraps the failures; the first one says enough. */
function reasonOf(cause: unknown): string {
  const first: unknown = cause instanceof AggregateError ? cause.errors[0] : cause;
  if (!(first instanceof Error)) return 'unknown reason';
  const code = 'code' in first && typeof first.code === 'string' ? first.code : undefined;
  return (code && reasons[code]) || first.message;
}
