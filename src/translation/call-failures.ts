import { GatewayError } from '../kernel/errors.ts';
import { isRecord } from '../kernel/record.ts';
import type { Deployment } from '../models/deployment.ts';
import { invalidAnswer, refusedByUpstream, refusedInStream, scrub } from '../proxy/failures.ts';
import type { Receiver, UpstreamRequest } from '../proxy/providers/provider.ts';

/** An error of the packages, known by its name: they are loaded when they are needed, and their classes with them. */
interface CallError extends Error {
  readonly statusCode?: number;
  readonly responseHeaders?: Record<string, string>;
  readonly responseBody?: string;
}

const isCallError = (thrown: unknown): thrown is CallError =>
  thrown instanceof Error && thrown.name === 'AI_APICallError';

/** What packages throw for a request that they cannot express. */
const unfit: ReadonlySet<string> = new Set([
  'AI_UnsupportedFunctionalityError',
  'AI_InvalidPromptError',
  'AI_InvalidArgumentError',
]);

type FailedCall = Pick<UpstreamRequest, 'deployment' | 'asked'> & {
  /** Whether the upstream had begun to answer it. */
  readonly isAccepted: boolean;
};

/** Tells of a call that failed: by the upstream's own answer where there is one. */
export function tellFailure(receiver: Receiver, thrown: unknown, { deployment, asked, isAccepted }: FailedCall): void {
  if (isCallError(thrown) && thrown.statusCode !== undefined && thrown.statusCode >= 300) {
    const { statusCode, responseHeaders = {}, responseBody } = thrown;
    const { 'content-length': _, ...headers } = responseHeaders;
    receiver.start(statusCode, headers);
    receiver.data(Buffer.from(responseBody || JSON.stringify({ error: { message: thrown.message } })));
    receiver.end();
    return;
  }
  // An answer that nobody can read, or that was cut, is paid for all the same, and so is each further one.
  if (isAccepted) {
    receiver.start(200, { 'content-type': asked.stream ? 'text/event-stream' : 'application/json' });
  }
  receiver.fail(errorOf(thrown, deployment));
}

/** The error of a call that failed, its upstream's own where there is one. */
export function failureOf(thrown: unknown, deployment: Deployment): Error {
  if (!isCallError(thrown) || thrown.statusCode === undefined || thrown.statusCode < 300)
    return errorOf(thrown, deployment);
  const { statusCode: status, responseHeaders: headers = {}, responseBody: body = '' } = thrown;
  return refusedByUpstream({ status, headers, body, deployment });
}

/** What a package throws about an answer: often a plain Error, about bytes that are not what they should be. */
export function unreadable(thrown: unknown): never {
  const root = rootOf(thrown);
  const isTold = root instanceof GatewayError || (root && 'code' in root);
  if (!root || isTold || (thrown instanceof Error && thrown.name.startsWith('AI_'))) throw thrown;
  throw unread(root);
}

function errorOf(thrown: unknown, deployment: Deployment): Error {
  const root = rootOf(thrown);
  // From the way out: a connection that failed, or one that was not made.
  if (root instanceof GatewayError || (root && 'code' in root)) return root;
  if (thrown instanceof GatewayError || !(thrown instanceof Error)) return GatewayError.from(thrown);
  if (unfit.has(thrown.name)) {
    return new GatewayError('invalid', 'unsupported_field', scrub(thrown.message, deployment), {
      hint: 'The provider’s protocol has no such thing. Leave it out, or ask for another model.',
    });
  }
  if (thrown.name.startsWith('AI_')) return unread(thrown);
  return GatewayError.from(thrown);
}

/** Packages quote the answer in their messages, and the log is no place for that: their names say enough. */
const unread = ({ name }: Error): GatewayError =>
  invalidAnswer('is not what its protocol says', new Error(`The provider’s package threw ${name}`));

/** The first of the errors that led to one another. */
function rootOf(thrown: unknown): Error | undefined {
  let root: unknown = thrown;
  for (let depth = 0; depth < 8 && root instanceof Error && root.cause instanceof Error; depth++) root = root.cause;
  return root instanceof Error ? root : undefined;
}

/** What an upstream, or the package that reads it, says in the middle of a stream. */
export function partFailure(error: unknown, deployment: Deployment): Error {
  if (isCallError(error)) return errorOf(error, deployment);
  if (error instanceof Error)
    return error.name.startsWith('AI_')
      ? errorOf(error, deployment)
      : refusedInStream({ message: error.message }, deployment);
  return refusedInStream(isRecord(error) ? (error['error'] ?? error) : String(error), deployment);
}
