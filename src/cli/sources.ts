import { readFile } from 'node:fs/promises';
import { text } from 'node:stream/consumers';
import type { Io } from './io.ts';
import { usage } from './usage.ts';

/** Where texts come from that are not on the command line. Standard input can be had only once. */
export interface Sources {
  readonly file: (path: string, flag: string) => Promise<string>;
  readonly stdin: (flag: string) => Promise<string>;
}

export function sourcesOf(io: Io): Sources {
  let reader: string | undefined;
  return {
    async file(path, flag) {
      try {
        return withoutLineEnd(await readFile(path, 'utf8'));
      } catch (cause) {
        const code = cause instanceof Error && 'code' in cause ? String(cause.code) : 'unreadable';
        throw usage('unreadable_file', `${flag}: cannot read ${path} (${reasons[code] ?? code}).`);
      }
    },
    async stdin(flag) {
      if (reader)
        throw usage('stdin_taken', `${reader} and ${flag} both want standard input.`, 'Give one of them as a file.');
      reader = flag;
      return withoutLineEnd(await text(io.stdin));
    },
  };
}

const reasons: Readonly<Record<string, string>> = {
  ENOENT: 'no such file',
  EACCES: 'permission denied',
  EISDIR: 'it is a directory',
};

/** Editors and `echo` end a file with a line end that nobody means to be part of the value. */
const withoutLineEnd = (content: string): string => content.replace(/\r?\n$/, '');
