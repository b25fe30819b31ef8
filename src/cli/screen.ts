import type { Io } from './io.ts';

/**
 * A part of the terminal that is drawn again and again in its place, below what was there before: the scroll-back stays,
 * and nothing is asked of the terminal that a plain one over ssh does not have.
 */
export class Screen {
  readonly #io: Io;
  #height = 0;

  constructor(io: Io) {
    this.#io = io;
    io.out(hideCursor);
    io.terminal?.onResize(() => {
      // Lines that were as wide as the terminal are broken now, and nobody knows how.
      if (this.#height > 0) io.out(clear);
      this.#height = 0;
    });
  }

  /** @param lines none wider than the terminal, and no more than it has rows */
  draw(lines: readonly string[]): void {
    const home = this.#height > 1 ? `\r\u001B[${this.#height - 1}A` : '\r';
    this.#io.out(`${home}${lines.map((line) => `${line}${toLineEnd}`).join('\n')}${toScreenEnd}`);
    this.#height = lines.length;
  }

  /** Leaves what was drawn last, and the cursor below it. */
  end(): void {
    this.#io.out(`${this.#height > 0 ? '\r\n' : ''}${showCursor}`);
    this.#height = 0;
  }
}

const hideCursor = '\u001B[?25l';
const showCursor = '\u001B[?25h';
const clear = '\u001B[2J\u001B[H';
const toLineEnd = '\u001B[K';
const toScreenEnd = '\u001B[J';

/** What was pressed, key by key: an arrow is several characters. */
export const keysIn = (pressed: string): readonly string[] => pressed.match(arrowOrCharacter) ?? [];

// oxlint-disable-next-line no-control-regex -- an arrow begins with one
const arrowOrCharacter = /\u001B[[O][A-D]|./gsu;

const arrows = { A: 'up', B: 'down', C: 'right', D: 'left' } as const;

export type Arrow = (typeof arrows)[keyof typeof arrows];

export function arrowOf(key: string): Arrow | undefined {
  const last = key.at(-1);
  return key.length === 3 && (last === 'A' || last === 'B' || last === 'C' || last === 'D') ? arrows[last] : undefined;
}
