import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { Surroundings } from './config/load.ts';

/** What the process is and where it stands, as far as anything but the command line has to know. */
export interface Runtime extends Required<Pick<Surroundings, 'env' | 'home' | 'cwd'>> {
  readonly uid: number | undefined;
  /** The package root when the program runs from a source checkout. */
  readonly checkout: string | undefined;
  /** `user@host`: who changes something in direct mode. */
  readonly operator: string;
  /** Calls back for each signal that asks the daemon to stop. */
  readonly onSignal: (listener: (signal: string) => void) => void;
  /** Calls back for each SIGHUP, which then ends nothing. */
  readonly onHangup: (listener: () => void) => void;
  /** Calls back with whatever was thrown and not caught anywhere; without a listener Node ends the process on the spot. */
  readonly onFault: (listener: (error: unknown) => void) => void;
  /** Does something synchronous under another umask. */
  readonly withUmask: (mask: number, action: () => void) => void;
  /** Ends the process at once: the second signal means it. */
  readonly abort: (status: number) => void;
  /** Where the daemon's log goes instead of standard error. */
  readonly logs?: { write(line: string): unknown };
}

const root = new URL('../', import.meta.url);

/** Where the program runs as source; undefined in an installed package. */
export function checkoutRoot(): string | undefined {
  return existsSync(new URL('src/main.ts', root)) ? fileURLToPath(root) : undefined;
}

/** A file that comes with the program, such as `openapi.json`. */
export const readPackaged = (path: string): string => readFileSync(new URL(path, root), 'utf8');
