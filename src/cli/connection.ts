import type { AnyOperation, Invoke } from '../kernel/operation.ts';
import type { Target } from './target.ts';

/** A way to the gateway that is open. */
export interface Connection<Services> extends AsyncDisposable {
  readonly invoke: Invoke<Services>;
  /** Absent on the way to a database, where nothing goes on. */
  readonly daemon?: Daemon | undefined;
  /** `direct · postgres://db1/gateway`, `local daemon · /path/admin.sock`, `https://gw`. */
  readonly describe: string;
  /** What a program must use as its base URL to call models there, where one is known. */
  readonly baseUrl?: string | undefined;
}

type Routed = Pick<AnyOperation<never>, 'route'>;

/** A running daemon, for operations that no command stands for. */
export interface Daemon {
  readonly ask: (operation: Routed, input: Record<string, unknown>) => Promise<Record<string, unknown>>;
  readonly follow: Follow;
}

/**
 * The lines of an answer as they come, blank ones left out, until the daemon ends it or the signal is given.
 *
 * @throws GatewayError as the operation does, and `connection_lost` when it breaks off
 */
export type Follow = (
  operation: Routed,
  input: Record<string, unknown>,
  signal: AbortSignal,
) => AsyncIterable<Record<string, unknown>>;

export interface ConnectOptions {
  /** How long one request may take. */
  readonly timeoutMs: number;
  /** In whose name (`--as`). */
  readonly as?: string | undefined;
  /** Sent with every change (`--idempotency-key`), so that the command can be run again without doing it again. */
  readonly idempotencyKey?: string | undefined;
  /** Told when a change was answered with what an earlier one did. */
  readonly onReplay?: (() => void) | undefined;
  /** The command being run, for the help in an error: `key list`. */
  readonly command?: string | undefined;
  /** Whether a database without a daemon is no help. */
  readonly needsDaemon?: boolean | undefined;
  /** Take what is there and start nothing: a TAB must not boot a database. */
  readonly isPassive?: boolean | undefined;
  /** Told of each exchange with a daemon. */
  readonly trace?: ((exchange: Exchange) => void) | undefined;
}

/** One request and its answer, for `--verbose` and `--debug`. Secrets are already masked. */
export interface Exchange {
  readonly method: string;
  readonly path: string;
  /** Absent when no answer came. */
  readonly status: number | undefined;
  readonly ms: number;
  readonly requestId: string | undefined;
  readonly sent: string;
  readonly received: string;
}

export type Connect<Services> = (target: Target, options: ConnectOptions) => Promise<Connection<Services>>;
