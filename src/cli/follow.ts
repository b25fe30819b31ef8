import type { IncomingMessage } from 'node:http';
import { GatewayError } from '../kernel/errors.ts';
import type { ConnectOptions, Follow } from './connection.ts';
import { type Address, collect, dial, read, requestFor, unreachable } from './invoke.ts';

/** Three of the daemon's blank lines: who sends not even those is gone. */
const quietMs = 45_000;
/** Longer than any line, so that a wrong address cannot fill our memory. */
const longestLine = 1024 * 1024;

/** Follows operations in a daemon, through its admin API. */
export function followFrom(address: Address, options: ConnectOptions): Follow {
  return async function* ({ route }, input, signal) {
    const incoming = await begin(address, { request: requestFor(route, input), options, signal });
    if (!incoming) return;
    const status = incoming.statusCode ?? 0;
    if (status < 200 || status > 299) read(await collect(incoming));
    incoming.setTimeout(quietMs, () => incoming.destroy(new Error(`nothing was heard for ${quietMs / 1_000} s`)));
    try {
      for await (const line of linesOf(incoming)) yield line;
    } catch (cause) {
      if (signal.aborted) return;
      const { message } = cause instanceof Error ? cause : new Error('unknown reason');
      throw new GatewayError('unavailable', 'connection_lost', `the connection broke off (${message}).`, { cause });
    }
  };
}

interface Beginning {
  readonly request: ReturnType<typeof requestFor>;
  readonly options: ConnectOptions;
  readonly signal: AbortSignal;
}

/** The time-out is for the head of the answer: the rest may take for ever. */
async function begin(address: Address, { request, options, signal }: Beginning): Promise<IncomingMessage | undefined> {
  const late = new AbortController();
  const timer = setTimeout(() => late.abort(new DOMException('too late', 'TimeoutError')), options.timeoutMs);
  try {
    return await dial(address, request, options, AbortSignal.any([signal, late.signal]));
  } catch (cause) {
    if (signal.aborted) return undefined;
    throw unreachable(address, cause, options);
  } finally {
    clearTimeout(timer);
  }
}

async function* linesOf(incoming: IncomingMessage): AsyncGenerator<Record<string, unknown>> {
  let rest = '';
  for await (const chunk of incoming.setEncoding('utf8')) {
    rest += String(chunk);
    const lines = rest.split('\n');
    rest = lines.pop() ?? '';
    if (rest.length > longestLine) throw new Error('a line is too long');
    for (const line of lines) if (line !== '') yield objectIn(line);
  }
}

function objectIn(line: string): Record<string, unknown> {
  const value: unknown = JSON.parse(line);
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- what is inside is read where it is shown
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  throw new Error('a line is no object');
}
