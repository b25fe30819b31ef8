import { GatewayError } from '../kernel/errors.ts';
import { redactLooks } from '../kernel/mask.ts';

/** A file that was read, for pointing into it. */
export interface SourceFile {
  /** As the operator named it. */
  readonly path: string;
  readonly lines: readonly string[];
}

/** A place in a file; line and column count from 1. */
export interface Place {
  readonly source: SourceFile;
  readonly line: number;
  readonly column: number;
}

export const showPlace = ({ source, line, column }: Place): string => `${source.path}:${line}:${column}`;

/**
 * A name from the file, if it can be shown. In a broken file a piece of a secret can end up as a key; but names are
 * words, and secrets are full of digits.
 */
export const showName = (name: string): string | undefined =>
  /^[A-Za-z_.-]{1,60}\d{0,3}$/.test(name) ? name : undefined;

/**
 * What is wrong with a configuration, gathered so that all of it is reported at once: an operator who repairs one
 * mistake per restart gives up before the last.
 */
export class Problems {
  readonly #found = new Set<string>();

  /** @param where `--port`, `environment variable PORT`, or a place in a file, of which the line is shown */
  add(where: string | Place, message: string): void {
    const shown =
      typeof where === 'string' ? `${where}: ${message}` : `${showPlace(where)}: ${message}\n${codeFrame(where)}`;
    this.#found.add(redactLooks(shown));
  }

  get isEmpty(): boolean {
    return this.#found.size === 0;
  }

  throwIfAny(): void {
    if (this.isEmpty) return;
    const many = this.#found.size > 1 ? `The configuration has ${this.#found.size} problems\n` : '';
    throw new GatewayError('config', 'invalid_configuration', many + [...this.#found].join('\n'));
  }
}

/**
 * The line with a caret under the place. Values are left out, each and every one: which of them are secrets cannot be
 * known in a file that is wrong, and this text ends in journals and bug reports.
 */
function codeFrame({ source, line, column }: Place): string {
  const content = source.lines[line - 1] ?? '';
  const before = content.slice(0, column - 1);
  // In the usual one-pair-a-line style what stands before is indentation, a dash or the key; elsewhere it may be a value.
  const isPlain = /^[\s-]{0,40}(?:[\w-]{1,40}:\s+)?$/.test(before);
  const lead = isPlain ? before : (/^\s{0,40}/.exec(before)?.[0] ?? '');
  // A key behind a key is none, but a piece of a value that has lost its quotes.
  const key =
    /^[\s-]*$/.test(lead) && isPlain ? /^[\w.-]{1,40}(?=\s*:(?:\s|$))/.exec(content.slice(column - 1))?.[0] : undefined;
  const shown = key ? `${key}: …` : '…';
  const gutter = `  ${line} | `;
  const caret = ' '.repeat(gutter.length - 2) + '| ' + ' '.repeat(lead.length) + '^';
  return `${gutter}${lead}${shown}\n${caret}`;
}
