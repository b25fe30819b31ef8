import type { Commandable } from './commandable.ts';
import { isRow, memberAt, resultOf, type Row, rowsOf } from './answer.ts';
import { exact } from './cell.ts';
import type { Ink } from './colour.ts';
import type { Format } from './globals.ts';
import type { Io } from './io.ts';
import { count } from './nouns.ts';
import { type Extent, totalOf } from './pages.ts';
import { type ForEyes, isForEyes, type Presentation } from './presentation.ts';
import { csv, tsv } from './separated.ts';
import { block, table } from './table.ts';
import { visible, visibleJson } from './visible.ts';

/** What is needed to print one answer. */
export interface Rendering {
  readonly operation: Commandable<never>;
  readonly presentation: Presentation;
  /** The answer as it travelled. */
  readonly answer: unknown;
  readonly io: Io;
  readonly out: Ink;
  readonly baseUrl: string | undefined;
  readonly extent: Extent;
  /** Which part of a list that is printed page by page; absent when this is all there is to print. */
  readonly part?: 'first' | 'later';
}

/**
 * Prints an answer: data to stdout, and to stderr what a person wants to know beside it.
 *
 * @returns how many rows there were
 */
export async function render(rendering: Rendering): Promise<number> {
  const { operation, presentation, answer, io } = rendering;
  const result = resultOf(operation, answer);
  const rows = rowsOf(operation, result);
  const secret = secretOf(rendering);
  const { format } = presentation;
  if (presentation.isQuiet) print(io, secret === undefined ? ids(rendering, rows) : `${secret}\n`);
  else if (secret !== undefined && isForEyes(format)) renderSecret(rendering, secret);
  else if (isForEyes(format)) await renderForEyes(rendering, rows, Array.isArray(result));
  else print(io, await writers[format]({ rendering, result, rows, secret }));
  const mark = operation.cli.forEyes?.isTotal;
  const counted = mark === undefined ? rows : rows.filter((row) => row[mark] !== true);
  if (Array.isArray(result) && operation.route[0] === 'GET' && !rendering.part) countLine(rendering, counted.length);
  return rows.length;
}

/** A program gets every character as it is; a terminal would act on some of them. */
function print(io: Io, text: string): void {
  io.out(io.stdoutIsTTY ? text.replace(/[^\t\n]+/g, visible) : text);
}

function secretOf({ operation, answer }: Rendering): string | undefined {
  const { secret } = operation.cli;
  const value =
    secret === undefined ? undefined : (memberAt(answer, secret) ?? memberAt(resultOf(operation, answer), secret));
  return typeof value === 'string' ? value : undefined;
}

/** Once, on a line by itself: a table would cut it, and a block would hide it. */
function renderSecret({ io, operation, presentation, answer, out }: Rendering, secret: string): void {
  const row = resultOf(operation, answer);
  if (presentation.isChosen && isRow(row)) {
    const { [operation.cli.secret ?? '']: _, ...rest } = presentation.fields ? picked(row, presentation.fields) : row;
    io.out(block(rest, presentation, { now: io.now(), bold: out.bold, ellipsis: out.ellipsis, width: undefined }));
  }
  io.out(io.stdoutIsTTY ? `\n${visible(secret)}\n\n` : `${secret}\n`);
  if (io.stderrIsTTY) io.err('Copy it now, it is not shown again.\n');
}

function ids({ operation, presentation }: Rendering, rows: readonly Row[]): string {
  const id = operation.cli.id ?? presentation.columns[0];
  if (id === undefined) return '';
  return rows
    .map((row) => exact(memberAt(row, id)))
    .filter(Boolean)
    .map((each) => `${each}\n`)
    .join('');
}

interface Printed {
  readonly rendering: Rendering;
  /** As it travelled. */
  readonly result: unknown;
  readonly rows: readonly Row[];
  readonly secret: string | undefined;
}

const writers: Readonly<Record<Exclude<Format, ForEyes>, (printed: Printed) => string | Promise<string>>> = {
  json: ({ rendering, result }) => `${visibleJson(JSON.stringify(chosen(rendering, result), null, 2))}\n`,
  jsonl: ({ rendering, result }) =>
    (Array.isArray(result) ? result : [result])
      .map((each: unknown) => `${visibleJson(JSON.stringify(chosen(rendering, each)))}\n`)
      .join(''),
  yaml: async ({ rendering, result }) => (await import('yaml')).stringify(chosen(rendering, result)),
  csv: ({ rendering: { presentation, part }, rows }) => csv(rows, { ...presentation, hasHeader: part !== 'later' }),
  tsv: ({ rendering: { presentation, part }, rows, secret }) =>
    secret === undefined || presentation.hasOwnColumns
      ? tsv(rows, { ...presentation, hasHeader: presentation.hasHeader && part !== 'later' })
      : `${secret}\n`,
  name: ({ rendering, rows }) => ids(rendering, rows),
  env: ({ rendering: { baseUrl }, secret }) =>
    [`OPENAI_API_KEY=${secret ?? ''}`, ...(baseUrl ? [`OPENAI_BASE_URL=${baseUrl}`] : []), ''].join('\n'),
};

/** What JSON and YAML show: the API's own object, or the members that were asked for. */
function chosen({ presentation: { fields } }: Rendering, result: unknown): unknown {
  if (!fields) return result ?? null;
  if (Array.isArray(result)) return result.map((each: unknown) => pick(each, fields));
  return pick(result, fields);
}

const pick = (row: unknown, fields: readonly string[]): unknown => (isRow(row) ? picked(row, fields) : row);

const picked = (row: Row, fields: readonly string[]): Row =>
  Object.fromEntries(fields.map((name) => [name, memberAt(row, name) ?? null]));

async function renderForEyes(
  { operation, presentation, io, out }: Rendering,
  rows: readonly Row[],
  isList: boolean,
): Promise<void> {
  const hasEdge = io.stdoutIsTTY && presentation.format === 'table';
  const width = hasEdge ? io.columns : undefined;
  const place = { now: io.now(), bold: out.bold, ellipsis: out.ellipsis, width, forEyes: operation.cli.forEyes };
  if (rows.length === 0) return;
  if (presentation.format === 'list' || (!isList && !presentation.hasOwnColumns)) {
    const { fields } = presentation;
    const blocks = rows.map((row) => block(fields ? picked(row, fields) : row, presentation, place));
    return io.out(blocks.join('\n'));
  }
  const { text, dropped } = await table(rows, presentation, operation.cli.id, place);
  io.out(text);
  if (dropped.length > 0) io.err(`Not shown, for want of room: ${dropped.join(' ')}. See them with -o wide.\n`);
}

/**
 * `2 keys.`, `Showing 100 of 3,412 keys (--all for every one)`: for a person, who sees the table end. A program can
 * count, but not know that there is more: a list that was cut without being asked to says so in a pipe as well.
 */
export function countLine(rendering: Rendering, amount: number): void {
  const { operation, answer, io, presentation, extent } = rendering;
  const nouns = operation.command.slice(0, -1);
  const isSeen = io.stderrIsTTY && io.stdoutIsTTY && !presentation.isQuiet;
  const total = extent.isWhole ? undefined : totalOf(operation, answer);
  if (total !== undefined && total > amount) {
    if (!isSeen && extent.isChosen) return;
    const rest = operation.cli.pages ? ' (--all for every one)' : '';
    return io.err(`Showing ${amount} of ${total.toLocaleString('en-US')} ${count(total, nouns)}${rest}\n`);
  }
  if (presentation.isQuiet) return;
  if (amount === 0) return io.err(`No ${count(0, nouns)} match.\n`);
  if (!isSeen) return;
  const more = operation.cli.wide && presentation.format === 'table' ? ' More columns: -o wide' : '';
  io.err(`${amount} ${count(amount, nouns)}.${more}\n`);
}
