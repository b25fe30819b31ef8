import { hostname } from 'node:os';
import type { Readable } from 'node:stream';
import { read } from '../kernel/wire.ts';
import type { Exchange } from '../proxy/exchange.ts';
import { opened } from './calls.wire.ts';
import { Listeners, type ListenersOptions } from './listeners.ts';
import { Live } from './live.ts';
import type { LiveSource } from './live.operations.ts';
import { type AskedUsage, type Sources, usageOf } from './usage.ts';

interface Surroundings extends ListenersOptions {
  readonly version: string;
}

export interface LiveDaemon extends LiveSource {
  readonly follow: (first: Record<string, unknown>, ask: () => Promise<unknown>) => Readable;
  /** Nobody is told anything any more. */
  readonly close: () => void;
}

/** What goes on in this process: its calls are counted, and told to those who follow them. */
export function openLive({ version, ...options }: Surroundings) {
  const { now } = options;
  const live = new Live();
  const listeners = new Listeners(options);
  const daemon = { host: hostname(), pid: process.pid, version, startedAt: live.startedAt };
  return {
    tell: (exchange: Exchange, thrown: unknown): void => {
      live.add(exchange, thrown);
      listeners.tell(exchange, thrown);
    },
    of: (visit: Sources['visit']): LiveDaemon => ({
      daemon,
      usage: (asked: AskedUsage) => usageOf({ live, visit, daemon, now }, asked),
      follow: (first, ask) => listeners.open(read(opened, first), first, ask),
      close: () => listeners.close(),
    }),
  };
}
