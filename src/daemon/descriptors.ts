import { readFileSync } from 'node:fs';

/** For the database, the journal, Redis, callbacks, files, and connections that are refused. */
const others = 256;

/** How much of what takes descriptors a process allows itself. */
export interface Demand {
  readonly maxConnections: number;
  /** Each may have a connection to its upstream. */
  readonly maxCalls: number;
}

/** Open files and connections this process may have: Node has raised it as far as it can. Undefined where nobody says. */
export function descriptorLimit(): number | undefined {
  let limits: string;
  try {
    limits = readFileSync('/proc/self/limits', 'utf8');
  } catch {
    // Not Linux.
    return undefined;
  }
  const soft = Number(/^Max open files\s+(\d+)/m.exec(limits)?.[1]);
  return soft > 0 ? soft : undefined;
}

/**
 * What can be had of it. Where descriptors run out connections are cut without a word, calls fail that were begun, and
 * PostgreSQL cannot be reached again; so that it does not come to that, less is taken on, and the rest refused.
 */
export function withinDescriptors(demand: Demand, limit: number | undefined): Demand & { readonly needed: number } {
  const { maxConnections, maxCalls } = demand;
  const needed = maxConnections + maxCalls + others;
  if (limit === undefined || limit >= needed) return { ...demand, needed };
  const left = Math.max(2, limit - others);
  const calls = Math.min(maxCalls, Math.max(Math.floor(left / 2), left - maxConnections));
  return { maxCalls: calls, maxConnections: Math.min(maxConnections, left - calls), needed };
}
