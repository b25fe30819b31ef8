import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';

/** Where processes run: the server under test on a core of its own, everything else on another. */
export interface Cores {
  /** What goes before a server's command line. */
  readonly server: readonly string[];
  readonly isPinned: boolean;
}

/** Numbers from a list as the kernel writes it: `0-3,8`. */
function parseList(list: string): number[] {
  return list.split(',').flatMap((range) => {
    const [first = 0, last = first] = range.split('-').map(Number);
    return Array.from({ length: last - first + 1 }, (_, index) => first + index);
  });
}

/** Moves this process, and so all that it starts, to the second core it may use; servers go to the first. */
export function takeCores(): Cores {
  try {
    const allowed = /^Cpus_allowed_list:\s*(\S+)$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1] ?? '';
    const [first, second] = parseList(allowed);
    if (first === undefined || second === undefined) return { server: [], isPinned: false };
    execFileSync('taskset', ['-acp', String(second), String(process.pid)], { stdio: 'ignore' });
    return { server: ['taskset', '-c', String(first)], isPinned: true };
  } catch {
    return { server: [], isPinned: false };
  }
}
