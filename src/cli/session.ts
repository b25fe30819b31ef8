import type { Commandable } from './commandable.ts';
import type { Ink } from './colour.ts';
import type { Connect, Connection, ConnectOptions, Exchange } from './connection.ts';
import type { GlobalFlags } from './globals.ts';
import type { Io } from './io.ts';
import { canAsk } from './prompt.ts';
import { type Sources, sourcesOf } from './sources.ts';
import { chooseTarget, type Target } from './target.ts';

/** One run of the program: who asks, how to reach the gateway, how to speak. */
export interface Session<Services> {
  readonly io: Io;
  readonly argv: readonly string[];
  readonly flags: GlobalFlags;
  readonly sources: Sources;
  /** For sentences on stderr. */
  readonly ink: Ink;
  /** For headings on stdout. */
  readonly outInk: Ink;
  readonly canAsk: boolean;
  /** The operations that can be asked on the way: those of the command's noun, or all. */
  readonly operations: readonly Commandable<Services>[];
  readonly whole: () => Promise<readonly Commandable<Services>[]>;
  readonly target: () => Promise<Target>;
  readonly connect: (
    options: Pick<ConnectOptions, 'command' | 'isPassive' | 'needsDaemon' | 'idempotencyKey' | 'onReplay'> & {
      readonly target?: Target | undefined;
    },
  ) => Promise<Connection<Services>>;
}

type Beginning<Services> = Pick<
  Session<Services>,
  'io' | 'argv' | 'flags' | 'ink' | 'outInk' | 'operations' | 'whole'
> & {
  readonly connect: Connect<Services>;
};

export function beginSession<Services>({ connect, ...rest }: Beginning<Services>): Session<Services> {
  const { io, flags, ink } = rest;
  const sources = sourcesOf(io);
  let chosen: Promise<Target> | undefined;
  // Once: choosing may read the key from standard input.
  const target = () => (chosen ??= chooseTarget(flags, io.env, sources));
  return {
    ...rest,
    sources,
    canAsk: canAsk(io, flags),
    target,
    connect: async ({ target: given, ...asked }) =>
      connect(given ?? (await target()), {
        ...asked,
        timeoutMs: flags.timeoutMs,
        as: flags.as,
        trace:
          flags.verbose || flags.debug ? (exchange) => io.err(ink.dim(traceLines(exchange, flags.debug))) : undefined,
      }),
  };
}

function traceLines({ method, path, status, ms, requestId, sent, received }: Exchange, isWhole: boolean): string {
  const id = requestId ? ` (request ${requestId})` : '';
  const head = `${method} ${path} ${status ?? 'no answer'} ${Math.round(ms)} ms${id}\n`;
  if (!isWhole) return head;
  return head + (sent ? `> ${sent}\n` : '') + (received ? `< ${received.trimEnd()}\n` : '');
}
