import type { Command } from 'commander';
import type { Invoke } from '../kernel/operation.ts';
import { memberAt, resultOf } from './answer.ts';
import type { Commandable } from './commandable.ts';
import type { Fields } from './input.ts';
import { allField, pageSize, parametersOf } from './parameters.ts';
import type { Presentation } from './presentation.ts';
import { usage } from './usage.ts';

type Answer = Awaited<ReturnType<Invoke<never>>>;

/** How much of a list a line asks for. */
export interface Extent {
  /** `--all`. */
  readonly isWhole: boolean;
  /** Whether the line says where to cut, so that whoever wrote it knows that there may be more. */
  readonly isChosen: boolean;
  /** What has to be sent for it. */
  readonly input: Fields;
}

/** Read before anything is asked: `--all` and a page contradict each other. */
export function extentOf(operation: Commandable<never>, command: Command, input: Fields): Extent {
  const { pages } = operation.cli;
  if (!pages) return { isWhole: false, isChosen: true, input: {} };
  const isWhole = command.opts<Fields>()[allField] === true;
  const chosen = [pages.size, pages.page].filter((field) => input[field] !== undefined);
  if (isWhole && chosen.length > 0) {
    const names = parametersOf(operation).flags.filter(({ field }) => chosen.includes(field));
    const flags = names.map(({ name }) => `--${name}`).join(' and ');
    throw usage('ambiguous_extent', `--all is the whole list, and ${flags} a part of it; which one is meant?`);
  }
  return { isWhole, isChosen: chosen.length > 0, input: { [pages.size]: input[pages.size] ?? pageSize } };
}

/** How many entries there are on all pages, where the answer says so. */
export function totalOf({ cli }: Commandable<never>, answer: unknown): number | undefined {
  const total = memberAt(answer, cli.pages?.total ?? 'total_count');
  return typeof total === 'number' ? total : undefined;
}

const entriesOf = (operation: Commandable<never>, answer: Answer): readonly unknown[] => {
  const result = resultOf(operation, answer);
  return Array.isArray(result) ? result : [];
};

/** One page after the other, until one is not full. */
export async function* walk<Services>(
  invoke: Invoke<Services>,
  operation: Commandable<Services>,
  input: Fields,
): AsyncGenerator<Answer> {
  const { page = 'page', total = 'total' } = operation.cli.pages ?? {};
  let seen = 0;
  for (let number = 1; ; number++) {
    const answer = await invoke(operation, { ...input, [page]: number });
    const entries = entriesOf(operation, answer).length;
    seen += entries;
    yield answer;
    if (entries === 0 || seen >= Number(memberAt(answer, total) ?? seen)) return;
  }
}

/** The formats in which a page can be printed without knowing the next. */
export const isStreamed = ({ format, isQuiet }: Presentation): boolean =>
  isQuiet || ['tsv', 'csv', 'jsonl', 'name'].includes(format);

/** All pages as if they had been one. */
export async function gathered(operation: Commandable<never>, pages: AsyncIterable<Answer>): Promise<Answer> {
  let whole: Answer = {};
  const entries: unknown[] = [];
  for await (const answer of pages) {
    whole = answer;
    for (const entry of entriesOf(operation, answer)) entries.push(entry);
  }
  const { result } = operation.cli;
  return result === undefined ? whole : { ...whole, [result]: entries };
}
