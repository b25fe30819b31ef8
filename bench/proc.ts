import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';

/** Linux counts in hundredths of a second to user space, whatever it does inside; asked all the same. */
const tick = 1_000_000 / Number(execFileSync('getconf', ['CLK_TCK'], { encoding: 'utf8' }).trim());

/** The fields of /proc/<pid>/stat behind the command's name, which may hold blanks. */
function stat(pid: number): string[] {
  const text = readFileSync(`/proc/${pid}/stat`, 'latin1');
  return text.slice(text.lastIndexOf(')') + 2).split(' ');
}

/** Microseconds of CPU a process has used, in all its threads, ended ones included. */
export function cpuOf(pid: number): number {
  const fields = stat(pid);
  return (Number(fields[11]) + Number(fields[12])) * tick;
}

/** The same of a process with its children, such as PostgreSQL's, of which those that ended are counted too. */
export function cpuOfTree(pid: number): number {
  const fields = stat(pid);
  let total = [11, 12, 13, 14].reduce((sum, index) => sum + Number(fields[index]), 0) * tick;
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    try {
      if (Number(stat(Number(name))[1]) === pid) total += cpuOf(Number(name));
    } catch {
      // It ended while we looked.
    }
  }
  return total;
}

/** Resident memory in bytes. */
export function residentOf(pid: number): number {
  const kilobytes = /^VmRSS:\s*(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
  return Number(kilobytes ?? 0) * 1_024;
}
