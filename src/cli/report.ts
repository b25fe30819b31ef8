import { Exit, GatewayError } from '../kernel/errors.ts';
import type { Ink } from './colour.ts';
import type { Io } from './io.ts';
import { redactLooks } from '../kernel/mask.ts';
import { requestIdOf } from './invoke.ts';
import { visibleJson, visibleLines } from './visible.ts';

export interface Reporting {
  readonly io: Io;
  readonly ink: Ink;
  /** Whether the line asked for JSON: then an error is JSON as well, so that a program need not read prose. */
  readonly isJson: boolean;
  readonly isDebug: boolean;
  /** How a field is called on this command line: `max_budget` is `--max-budget`. */
  readonly flagOf: (field: string) => string | undefined;
}

/** Says what went wrong, why, and what to do, and gives the status to end with. */
export function report(thrown: unknown, reporting: Reporting): number {
  const { io, ink, isJson, isDebug } = reporting;
  const isOurs = thrown instanceof GatewayError && thrown.kind !== 'internal';
  const error = isOurs ? inFlags(thrown, reporting) : apology(isDebug);
  const exit = isOurs ? thrown.exit : Exit.bug;
  const requestId = isOurs ? requestIdOf(thrown) : undefined;
  if (isJson) {
    const body = { code: error.type, message: error.message, hint: error.hint, exit_code: exit, request_id: requestId };
    io.err(`${visibleJson(JSON.stringify({ error: body }))}\n`);
  } else if (isOurs && thrown.type === 'declined') io.err(`${error.message}\n`);
  else {
    io.err(`${ink.red('Error:')} ${visibleLines(error.message)}\n`);
    if (error.hint) io.err(`${visibleLines(error.hint)}\n`);
    if (requestId) io.err(`${ink.dim(`Request id: ${visibleLines(requestId)}`)}\n`);
  }
  if (isDebug) io.err(`${redactLooks(traceOf(thrown))}\n`);
  return exit;
}

interface Shown {
  readonly type: string;
  readonly message: string;
  readonly hint: string | undefined;
}

/** The gateway blames a field; whoever typed a flag looks for the flag. */
function inFlags({ type, message, param, hint }: GatewayError, { flagOf }: Reporting): Shown {
  const flag = param === undefined ? undefined : flagOf(param.split('.')[0] ?? param);
  const isBlamed = flag !== undefined && message.startsWith(`${param}: `);
  return { type, message: isBlamed ? `${flag}${message.slice(param?.length ?? 0)}` : message, hint };
}

const apology = (isDebug: boolean): Shown => ({
  type: 'internal_error',
  message: 'something went wrong inside gatewayctl. Sorry: that is a mistake of ours, not of yours.',
  hint: isDebug ? undefined : 'Run it again with --debug and report what it says; secrets are masked.',
});

/** With its causes: the first one is mostly the one to mend. */
function traceOf(thrown: unknown): string {
  if (!(thrown instanceof Error)) return String(thrown);
  const trace = thrown.stack ?? thrown.message;
  return thrown.cause === undefined ? trace : `${trace}\nCaused by: ${traceOf(thrown.cause)}`;
}
