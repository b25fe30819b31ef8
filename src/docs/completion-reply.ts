import type { Command } from 'commander';
import { quoteForBash, splitLine, type Word } from './command-line.ts';
import { type Candidate, complete, type Completion, type Lookup } from './completion.ts';

/**
 * Answers the hidden command by which the shells ask: `gatewayctl __complete <shell> …`. The text has `files` or
 * `values` in its first line, and then a candidate in each.
 *
 * What was typed comes as one argument, so that no flag in it can be taken for one of this command. bash sends its line
 * as it stands, up to the cursor, because it could not split it without evaluating it; then COMP_WORDBREAKS and
 * COMP_TYPE. zsh and fish send the words, one in a line.
 */
export async function serveCompletion(program: Command, argv: readonly string[], lookup: Lookup): Promise<string> {
  const [shell, ...rest] = argv;
  if (shell === 'bash') {
    const [line = '', breaks = '', type = ''] = rest;
    const words = splitLine(line, breaks.replace(/[^=:@]/g, ''));
    const texts = words.slice(1).map(({ text }) => text);
    return bashReply(await complete(program, texts, lookup), words.at(-1), type);
  }
  const words = (rest[0] ?? '').split('\n').slice(1);
  return reply(await complete(program, shell === 'fish' ? unquoteLast(words) : words, lookup));
}

/** fish hands over the word under the cursor as it was typed, and that may be an open quote. */
const unquoteLast = (words: readonly string[]): readonly string[] => [
  ...words.slice(0, -1),
  splitLine(words.at(-1) ?? '').at(-1)?.text ?? '',
];

function reply(completion: Completion): string {
  const candidates = printable(completion).map(({ value, description }) =>
    description ? `${value}\t${description}` : value,
  );
  return lines(completion, candidates);
}

/** What COMP_TYPE is when bash shows a list and inserts nothing: the only moment for descriptions. */
const listing = '63';

function bashReply(completion: Completion, word: Word | undefined, type: string): string {
  const { start, quote } = word ?? { start: 0, quote: '' };
  const candidates = printable(completion).map(({ value, description }) => ({
    value: value.slice(start),
    description,
  }));
  if (type !== listing || candidates.length < 2) {
    return lines(
      completion,
      candidates.map(({ value }) => quoteForBash(value, quote)),
    );
  }
  const width = Math.max(...candidates.map(({ value }) => value.length));
  return lines(
    completion,
    candidates.map(({ value, description }) => (description ? `${value.padEnd(width)}  (${description})` : value)),
  );
}

const lines = ({ kind }: Completion, candidates: readonly string[]): string => `${[kind, ...candidates].join('\n')}\n`;

/** Controls, and what turns the direction of writing around or ends a line. */
const unprintable = /[\p{Cc}\p{Bidi_Control}\u2028\u2029]+/u;

/**
 * Names come from users. One with a control character in it could not be typed, would break the lines of the answer
 * or send the terminal an escape sequence, so it is left out.
 */
function printable(completion: Completion): readonly Candidate[] {
  if (completion.kind === 'files') return [];
  return completion.candidates
    .filter(({ value }) => !unprintable.test(value))
    .map(({ value, description }) => ({ value, description: description?.split(unprintable).join(' ') }));
}
