import { z } from 'zod';
import { redactLooks } from './mask.ts';

/**
 * Process exit statuses. Scripts depend on them, so they are part of the interface: see `gatewayctl help exit-codes`.
 * From 64 up the numbers are those of sysexits.h, because systemd prints their names.
 */
export const Exit = {
  ok: 0,
  /** The answer is no: a difference was found, a check failed, a question was declined. */
  no: 1,
  usage: 2,
  notFound: 3,
  unauthenticated: 4,
  forbidden: 5,
  conflict: 6,
  unreachable: 7,
  partial: 8,
  rejected: 9,
  serverFault: 10,
  noDatabase: 69,
  bug: 70,
  system: 71,
  cannotCreate: 73,
  tryAgain: 75,
  noPermission: 77,
  config: 78,
  deadline: 124,
} as const;

/** What each kind of failure means to an HTTP client and to a shell script. There is no other such table. */
const kinds = {
  /** The command line is wrong. Never travels: only the CLI makes it. */
  usage: { status: 400, exit: Exit.usage },
  /** A question was declined, a check failed. */
  no: { status: 400, exit: Exit.no },
  invalid: { status: 400, exit: Exit.rejected },
  unauthenticated: { status: 401, exit: Exit.unauthenticated },
  forbidden: { status: 403, exit: Exit.forbidden },
  notFound: { status: 404, exit: Exit.notFound },
  methodNotAllowed: { status: 405, exit: Exit.serverFault },
  timeout: { status: 408, exit: Exit.unreachable },
  conflict: { status: 409, exit: Exit.conflict },
  tooLarge: { status: 413, exit: Exit.rejected },
  unsupportedMedia: { status: 415, exit: Exit.rejected },
  limited: { status: 429, exit: Exit.tryAgain },
  internal: { status: 500, exit: Exit.bug },
  upstream: { status: 502, exit: Exit.serverFault },
  /** Our own trouble (database, shutdown): worth trying again. */
  unavailable: { status: 503, exit: Exit.unreachable },
  upstreamTimeout: { status: 504, exit: Exit.serverFault },
  /** The configuration cannot be used: systemd must not restart the daemon on this one. */
  config: { status: 500, exit: Exit.config },
  /** A port, a socket or a file cannot be made. */
  cannotCreate: { status: 500, exit: Exit.cannotCreate },
  /** The operating system does not let us: a directory of somebody else, a full disk. */
  system: { status: 500, exit: Exit.system },
} as const;

export type ErrorKind = keyof typeof kinds;

const isKind = (name: unknown): name is ErrorKind => typeof name === 'string' && Object.hasOwn(kinds, name);

function kindOf(status: number): ErrorKind {
  if (status >= 500 && status !== 503) return 'upstream';
  for (const kind in kinds)
    if (isKind(kind) && kind !== 'usage' && kind !== 'no' && kinds[kind].status === status) return kind;
  return 'invalid';
}

/** Forgiving: what stands between us and the daemon answers errors too, and not in our words. */
const ErrorBody = z
  .object({
    error: z
      .object({
        message: z.string(),
        type: z.string(),
        param: z.string().nullable(),
        kind: z.string(),
        hint: z.string().nullable(),
      })
      .partial(),
  })
  .catch({ error: {} });

export interface ErrorDetails {
  /** The input field at fault, spelled as it travels. */
  param?: string | undefined;
  /** What to do next; a command that can be pasted where there is one. */
  hint?: string | undefined;
  /** Where LiteLLM's clients look for another HTTP status than this kind's own. */
  status?: number | undefined;
  /** Response headers that belong to the error, such as `retry-after`. */
  headers?: Readonly<Record<string, string>> | undefined;
  /** Why, for the operator's logs. It never travels: who is refused must not learn what to change. */
  reason?: string | undefined;
  cause?: unknown;
}

/** A failure somebody is meant to read. Anything else that is thrown is a bug, and is answered as `internal`. */
export class GatewayError extends Error {
  override readonly name = 'GatewayError';
  readonly kind: ErrorKind;
  /** What went wrong, for programs: `key_not_found`. Renaming one is a breaking change. */
  readonly type: string;
  readonly param: string | undefined;
  readonly hint: string | undefined;
  readonly reason: string | undefined;
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;

  constructor(kind: ErrorKind, type: string, message: string, details: ErrorDetails = {}) {
    super(redactLooks(message), { cause: details.cause });
    this.kind = kind;
    this.type = type;
    this.param = details.param && redactLooks(details.param);
    this.hint = details.hint && redactLooks(details.hint);
    this.reason = details.reason;
    this.status = details.status ?? kinds[kind].status;
    this.headers = details.headers ?? {};
  }

  /** The error to show for whatever was thrown. The cause stays on it for the log and never reaches the client. */
  static from(thrown: unknown): GatewayError {
    if (thrown instanceof GatewayError) return thrown;
    return new GatewayError('internal', 'internal_error', 'Something went wrong in the gateway', { cause: thrown });
  }

  /** The error a daemon answered with, so that a script sees the same exit status near and far. */
  static fromResponse(status: number, body: unknown): GatewayError {
    const {
      message = `The daemon answered HTTP ${status}`,
      type = 'unknown_error',
      ...rest
    } = ErrorBody.parse(body).error;
    const kind = isKind(rest.kind) ? rest.kind : kindOf(status);
    // `internal` is a bug where it happened; from here it is the server's fault.
    return new GatewayError(kind === 'internal' ? 'upstream' : kind, type, message, {
      param: rest.param ?? undefined,
      hint: rest.hint ?? undefined,
      status,
    });
  }

  get exit(): number {
    return kinds[this.kind].exit;
  }

  /**
   * The body OpenAI's and LiteLLM's clients read: `code` is the status, as a string, because theirs is.
   * `kind` and `hint` are ours, so that the command line says the same near and far.
   */
  toJSON() {
    const { message, type, param = null, status, kind, hint = null } = this;
    return { error: { message, type, param, code: String(status), kind, hint } };
  }
}
