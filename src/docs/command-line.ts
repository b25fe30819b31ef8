/** A word of a command line, as a shell would hand it to the program if it expanded nothing. */
export interface Word {
  readonly text: string;
  /** The quote still open at its end, if any. */
  readonly quote: '' | "'" | '"';
  /** Where in `text` bash believes the word under the cursor begins: it breaks words at more than blanks. */
  readonly start: number;
}

/**
 * Splits a command line into words: quotes and backslashes, and nothing else. `$(…)`, `$NAME` and globs stay the
 * characters they are, because what somebody has only typed must not run. The last word is the one under the cursor;
 * it is empty after a blank.
 *
 * @param breaks characters at which bash begins a new word although a shell would not, such as `=` and `:`
 */
export function splitLine(line: string, breaks = ''): readonly Word[] {
  const words: Word[] = [];
  let text = '';
  let quote: Word['quote'] = '';
  let start = 0;
  let isOpen = false;
  const push = () => {
    words.push({ text, quote, start });
    [text, start, isOpen] = ['', 0, false];
  };

  for (let index = 0; index < line.length; index++) {
    const character = line.charAt(index);
    if (quote === '' && isBlank(character)) {
      if (isOpen) push();
      continue;
    }
    isOpen = true;
    if (character === quote) quote = '';
    else if (quote === '' && (character === "'" || character === '"')) [quote, start] = [character, text.length];
    else if (character === '\\' && escapes(quote, line.charAt(index + 1))) text += line.charAt(++index);
    else {
      text += character;
      if (quote === '' && breaks.includes(character)) start = text.length;
    }
  }
  push();
  return words;
}

const isBlank = (character: string): boolean => character === ' ' || character === '\t' || character === '\n';

/** Between double quotes a backslash is itself, unless it stands before one of these: POSIX, XCU 2.2.3. */
function escapes(quote: Word['quote'], next: string): boolean {
  if (quote === "'") return false;
  return quote === '' || (next !== '' && '$`"\\'.includes(next));
}

/** A value spelled so that bash, and the person reading the line, takes it for that value and no more. */
export function quoteForBash(value: string, quote: Word['quote']): string {
  if (quote === "'") return value.replaceAll("'", String.raw`'\''`);
  if (quote === '"') return value.replace(/[$`"\\]/g, String.raw`\$&`);
  return value.replace(/[\s"'`$\\!*?()[\]{}<>|&;#~^]/g, String.raw`\$&`);
}
