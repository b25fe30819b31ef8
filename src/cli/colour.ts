import type { Environment, Io } from './io.ts';

/** How one stream is written to: in colour or not, with symbols beyond ASCII or not. */
export interface Ink {
  readonly bold: (text: string) => string;
  readonly red: (text: string) => string;
  readonly green: (text: string) => string;
  readonly dim: (text: string) => string;
  readonly done: string;
  readonly ellipsis: string;
}

/**
 * Whether a stream gets colour: the flag, then NO_COLOR, FORCE_COLOR, CLICOLOR_FORCE, CLICOLOR=0, TERM=dumb, then
 * whether it is a terminal. The one place that decides; libraries are told.
 */
export function isColoured(when: string | undefined, env: Environment, isTTY: boolean): boolean {
  if (when === 'always' || when === 'never') return when === 'always';
  if (env['NO_COLOR']) return false;
  if (isForced(env['FORCE_COLOR']) || isForced(env['CLICOLOR_FORCE'])) return true;
  if (env['CLICOLOR'] === '0' || env['TERM'] === 'dumb') return false;
  return isTTY;
}

const isForced = (value: string | undefined) => Boolean(value) && value !== '0' && value !== 'false';

/** `--color` and `--no-color` as they stand on the line: help is printed before anything is parsed. The last one wins. */
export function colourFlag(argv: readonly string[]): string | undefined {
  let when: string | undefined;
  for (const [index, word] of argv.entries()) {
    if (word === '--') break;
    if (word === '--no-color') when = 'never';
    else if (word === '--color') when = argv[index + 1];
    else if (word.startsWith('--color=')) when = word.slice('--color='.length);
  }
  return when;
}

/** Symbols fall back to ASCII where the locale or the Linux console cannot show them. */
function isUnicode(env: Environment): boolean {
  if (env['TERM'] === 'linux') return false;
  return /utf-?8/i.test(env['LC_ALL'] || env['LC_CTYPE'] || env['LANG'] || '');
}

const styled = (isOn: boolean, open: number, close: number) => (text: string) =>
  isOn ? `\u001B[${open}m${text}\u001B[${close}m` : text;

export function inkFor(stream: 'stdout' | 'stderr', when: string | undefined, io: Io): Ink {
  const isOn = isColoured(when, io.env, stream === 'stdout' ? io.stdoutIsTTY : io.stderrIsTTY);
  const [done, ellipsis] = isUnicode(io.env) ? ['✓', '…'] : ['ok:', '...'];
  return {
    bold: styled(isOn, 1, 22),
    red: styled(isOn, 31, 39),
    green: styled(isOn, 32, 39),
    dim: styled(isOn, 2, 22),
    done,
    ellipsis,
  };
}
