import { readFile } from 'node:fs/promises';
import { isRow, type Row } from './cli/answer.ts';
import type { Caller, LocalContext } from './cli/local-command.ts';
import { csv, tsv } from './cli/separated.ts';
import { table } from './cli/table.ts';
import { visibleJson } from './cli/visible.ts';
import { Exit, GatewayError } from './kernel/errors.ts';
import { toDollars, toNano } from './kernel/money.ts';
import { callsOf } from './spend-export.ts';
import {
  type Columns,
  type Figure,
  type Measure,
  measures,
  readColumns,
  readFigures,
} from './spend/provider-figures.ts';

/** What one figure is compared with, by day and model, or by request. */
interface Entry {
  readonly day: string;
  readonly model: string;
  readonly requestId: string | undefined;
  readonly theirs: Map<Measure, bigint>;
  readonly ours: Map<Measure, bigint>;
}

type Book = Map<string, Entry>;

/** Providers date their models, and some answer with the date where none was asked for. */
const undated = (model: string): string => model.toLowerCase().replace(/[-@](\d{4}-\d\d-\d\d|\d{8}|latest)$/, '');

function entryOf(book: Book, { day, model, requestId }: Pick<Figure, 'day' | 'model' | 'requestId'>): Entry {
  const name = requestId ?? `${day} ${undated(model)}`;
  let entry = book.get(name);
  if (!entry) book.set(name, (entry = { day, model: undated(model), requestId, theirs: new Map(), ours: new Map() }));
  return entry;
}

function add(to: Map<Measure, bigint>, amounts: Partial<Record<Measure, bigint>>): void {
  for (const measure of measures) {
    const amount = amounts[measure];
    if (amount !== undefined) to.set(measure, (to.get(measure) ?? 0n) + amount);
  }
}

const counts = (row: Row, name: string): bigint => BigInt(Math.round(Number(row[name] ?? 0)));

const oursOf = (row: Row, requests: bigint): Record<Measure, bigint> => ({
  requests,
  input_tokens: counts(row, 'prompt_tokens'),
  output_tokens: counts(row, 'completion_tokens'),
  cost: toNano(Number(row['spend'] ?? 0)),
});

const DAY_MS = 86_400_000;
const MODELS_AT_MOST = 1_000;

/** What was booked on the days of the file, by model; in all where the file does not tell models apart. */
async function addDays(book: Book, { call, provider }: { call: Caller['call']; provider: string | undefined }) {
  const byDay = Map.groupBy([...book.values()], ({ day }) => day);
  for (const [day, entries] of byDay) {
    const isWhole = entries.some(({ model }) => model === '');
    const rows: unknown = await call('spend report', {
      group_by: [isWhole ? 'day' : 'upstream_model'],
      start_date: day,
      end_date: new Date(Date.parse(day) + DAY_MS).toISOString(),
      limit: MODELS_AT_MOST,
      ...(provider !== undefined && { provider }),
    });
    for (const row of Array.isArray(rows) ? rows.filter(isRow) : []) {
      const model = isWhole ? '' : String(row['upstream_model']);
      // Of other providers nothing is in the file.
      if (provider === undefined && !book.has(`${day} ${undated(model)}`)) continue;
      const answered = counts(row, 'requests') - counts(row, 'failed_requests');
      add(entryOf(book, { day, model }).ours, oursOf(row, answered));
    }
  }
}

/** Each request of the file, looked for among the calls of its days. */
async function addRequests(book: Book, { call }: { call: Caller['call'] }): Promise<void> {
  const days = [...book.values()].map(({ day }) => day).toSorted();
  const [first = '', last = ''] = [days[0], days.at(-1)];
  const wanted = { start_date: first, end_date: new Date(Date.parse(last) + 2 * DAY_MS).toISOString() };
  for await (const rows of callsOf(call, wanted)) {
    for (const row of rows) {
      const entry = book.get(String(row['request_id']));
      if (entry) add(entry.ours, oursOf(row, 1n));
    }
  }
}

interface Compared {
  readonly day: string;
  readonly model: string;
  readonly request_id: string | null;
  readonly figure: Measure;
  readonly provider: number;
  readonly booked: number;
  readonly difference: number;
  /** Of the provider's figure; null where that is nothing. */
  readonly percent: number | null;
  readonly agrees: boolean;
}

function compared(entry: Entry, measure: Measure, tolerance: number): Compared {
  const theirs = entry.theirs.get(measure) ?? 0n;
  const ours = entry.ours.get(measure) ?? 0n;
  const shown = (amount: bigint) => (measure === 'cost' ? toDollars(amount) : Number(amount));
  const difference = shown(ours - theirs);
  const percent = theirs === 0n ? null : (difference / Math.abs(shown(theirs))) * 100;
  return {
    day: entry.day,
    model: entry.model,
    request_id: entry.requestId ?? null,
    figure: measure,
    provider: shown(theirs),
    booked: shown(ours),
    difference,
    percent: percent === null ? null : Math.round(percent * 1_000) / 1_000,
    agrees: percent === null ? difference === 0 : Math.abs(percent) <= tolerance,
  };
}

const columns = ['day', 'model', 'figure', 'provider', 'booked', 'difference', 'percent'];

async function print(context: LocalContext, rows: readonly Compared[]): Promise<void> {
  const { io, format, ink, global } = context;
  const number = { type: 'number', nullable: false };
  const text = { type: 'string', nullable: false };
  const presentation = {
    format: 'table' as const,
    isChosen: false,
    columns: global.columns ?? (rows.some((row) => row.request_id !== null) ? [...columns, 'request_id'] : columns),
    hasOwnColumns: false,
    fields: undefined,
    hasHeader: global.header,
    isQuiet: false,
    shape: {
      members: Object.fromEntries(columns.map((name, at) => [name, at < 3 ? text : number])),
      columns,
      wide: columns,
      heading: (column: string) => column.replaceAll('_', '-').toUpperCase(),
      cell: (row: Row, column: string) => row[column],
    },
  };
  const records: readonly Row[] = rows.map((row) => ({ ...row }));
  if (format === 'json') io.out(`${visibleJson(JSON.stringify(rows, null, 2))}\n`);
  else if (format === 'jsonl') io.out(rows.map((row) => `${visibleJson(JSON.stringify(row))}\n`).join(''));
  else if (format === 'csv') io.out(csv(records, { ...presentation, hasHeader: true }));
  else if (format === 'tsv') io.out(tsv(records, presentation));
  else if (rows.length > 0) {
    const width = io.stdoutIsTTY ? io.columns : undefined;
    const place = { now: io.now(), width, bold: ink.bold, ellipsis: ink.ellipsis };
    io.out((await table(records, presentation, 'model', place)).text);
  }
}

async function fileText(path: string, { sources }: LocalContext): Promise<string> {
  if (path === '-') return sources.stdin('<file>');
  return readFile(path, 'utf8').catch((cause: unknown) => {
    throw new GatewayError('notFound', 'file_not_found', `Cannot read ${path}`, { cause });
  });
}

function bookOf(figures: readonly Figure[]): Book {
  const book: Book = new Map();
  for (const figure of figures) add(entryOf(book, figure).theirs, figure);
  return book;
}

/** @returns the exit status: 1 when a figure differs by more than is tolerated */
export async function reconcileSpend(context: LocalContext): Promise<number> {
  const { args, options, io, global } = context;
  const map: Columns = readColumns(Array.isArray(options['map']) ? options['map'].map(String) : []);
  const figures = readFigures(await fileText(args[0] ?? '-', context), map);
  const provider = typeof options['provider'] === 'string' ? options['provider'] : undefined;
  const tolerance = Number(options['tolerance'] ?? 0);
  const book = bookOf(figures);
  const isByRequest = figures.every(({ requestId }) => requestId !== undefined);
  {
    await using gateway = await context.connect();
    if (isByRequest) await addRequests(book, gateway);
    else await addDays(book, { call: gateway.call, provider });
  }
  const present = measures.filter((measure) => figures.some((figure) => figure[measure] !== undefined));
  const all = [...book.values()]
    .toSorted((one, other) => one.day.localeCompare(other.day) || one.model.localeCompare(other.model))
    .flatMap((entry) => present.map((measure) => compared(entry, measure, tolerance)));
  const differing = all.filter(({ agrees }) => !agrees);
  await print(context, options['all'] === true ? all : differing);
  if (!global.quiet) {
    io.err(
      `${all.length - differing.length} of ${all.length} figures agree${tolerance > 0 ? ` within ${tolerance} %` : ''}.\n`,
    );
    if (provider === undefined && !isByRequest)
      io.err('Models that the file does not name are passed over; with --provider they are compared too.\n');
  }
  return differing.length > 0 ? Exit.no : Exit.ok;
}
