import type { Ink } from './cli/colour.ts';
import { visible } from './cli/visible.ts';
import type { Figures, HolderFigures, LiveUsage, Sorting } from './live/live.wire.ts';

/** What is drawn, and on what. */
export interface View {
  readonly usage: LiveUsage;
  readonly sort: Sorting;
  /** Rows that are scrolled past. */
  readonly skipped: number;
  readonly isFrozen: boolean;
  /** What went wrong with the last look; undefined when nothing did. */
  readonly trouble: string | undefined;
  readonly size: { readonly columns: number; readonly rows: number };
  readonly ink: Ink;
  readonly now: Date;
  readonly widthOf: (text: string) => number;
}

interface Column {
  readonly heading: string;
  readonly sort: Sorting;
  /** Columns do not jump while their figures are no longer than this. */
  readonly least: number;
  readonly cell: (row: HolderFigures) => string;
}

const figures: readonly Column[] = [
  { heading: 'REQ/S', sort: 'requests', least: 5, cell: (row) => rate(row.requestsPerSecond) },
  { heading: 'TOK/S', sort: 'tokens', least: 6, cell: (row) => rate(row.tokensPerSecond) },
  { heading: '$/H', sort: 'cost', least: 7, cell: (row) => dollars(row.costPerHour) },
  { heading: 'BUSY', sort: 'in_flight', least: 4, cell: (row) => whole(row.inFlight) },
  { heading: 'HELD', sort: 'reserved', least: 7, cell: (row) => dollars(Number(row.reserved) / 1e9) },
  { heading: 'REFUSED', sort: 'refused', least: 7, cell: (row) => whole(row.refused) },
  { heading: 'FAILED', sort: 'failed', least: 6, cell: (row) => whole(row.failed) },
  { heading: 'P95', sort: 'first_byte', least: 5, cell: (row) => time(row.firstByteP95Ms) },
];

const gap = 2;
const narrowestName = 10;

/** The lines of a screen: never wider than it, and fewer than it has rows. */
export function linesOf(view: View): readonly string[] {
  const { usage, size, ink } = view;
  const width = size.columns - 1;
  const head = headOf(view).map((line) => cut(line, width, view));
  const foot = footOf(view).map((line) => cut(line, width, view));
  const room = Math.max(1, size.rows - 1 - head.length - foot.length - 1);
  const rows = usage.rows.slice(view.skipped, view.skipped + room);
  const [heading = '', ...lines] = tableOf(rows, view, width);
  return [...head, ink.bold(heading), ...lines, ...foot];
}

/** The same for somebody who looks once: all rows, and no keys to press. */
export function linesOnce(view: Omit<View, 'skipped' | 'isFrozen' | 'trouble'>): readonly string[] {
  const still = { ...view, skipped: 0, isFrozen: false, trouble: undefined };
  const width = view.size.columns - 1;
  const [heading = '', ...lines] = tableOf(view.usage.rows, still, width);
  const around = [...headOf(still), ...footOf(still).slice(0, 1)].map((line) => cut(line, width, still));
  return [...around.slice(0, -1), view.ink.bold(heading), ...lines, ...around.slice(-1)];
}

function headOf({ usage, ink, now }: View): readonly string[] {
  const { daemon, total, windowSeconds } = usage;
  const dot = isPlain(ink) ? '-' : '·';
  const up = span((now.getTime() - daemon.startedAt.getTime()) / 1_000);
  return [
    `${visible(daemon.host)} pid ${daemon.pid} ${dot} gatewayctl ${visible(daemon.version)} ${dot} up ${up} ${dot} this daemon alone`,
    [
      `${rate(total.requestsPerSecond)} req/s (${rate(total.requestsPerMinute)}/min)`,
      `${rate(total.tokensPerSecond)} tok/s`,
      `${dollars(total.costPerHour)}/h`,
      `${whole(total.inFlight)} busy`,
      `${dollars(Number(total.reserved) / 1e9)} held`,
      `p95 ${time(total.firstByteP95Ms)}`,
    ].join('  '),
    `last ${Math.round(windowSeconds)} s: ${reasons('refused', total.refused, total.refusals)}`,
    `last ${Math.round(windowSeconds)} s: ${reasons('failed', total.failed, total.failures)}`,
    '',
  ];
}

function reasons(what: string, amount: number, byReason: Figures['refusals']): string {
  const most = Object.entries(byReason).toSorted(([, one], [, other]) => other - one);
  const named = most.slice(0, 3).map(([reason, count]) => `${whole(count)} ${visible(reason)}`);
  return `${whole(amount)} ${what}${named.length > 0 ? ` (${named.join(', ')}${most.length > 3 ? ', others' : ''})` : ''}`;
}

function footOf({ usage, sort, skipped, isFrozen, trouble, ink }: View): readonly string[] {
  const shown = usage.rowsInAll - skipped;
  const others = usage.others.requests > 0 ? `, and ${whole(usage.others.requests)} calls of others` : '';
  const about =
    usage.rowsInAll === 0 ? `No calls in this time` : `${whole(shown)} of ${whole(usage.rowsInAll)}${others}`;
  return [
    trouble === undefined ? ink.dim(`${about}${isFrozen ? ' - frozen' : ''}`) : ink.red(`! ${visible(trouble)}`),
    ink.dim(`q quit  b by ${usage.by}  s sort ${sort.replace('_', ' ')}  f ${isFrozen ? 'go on' : 'freeze'}`),
  ];
}

function tableOf(rows: readonly HolderFigures[], view: View, width: number): readonly string[] {
  const { usage, widthOf, sort } = view;
  const mark = isPlain(view.ink) ? '*' : '↓';
  let columns = figures.map(({ heading, sort: by, least, cell }) => {
    const cells = [by === sort ? `${heading}${mark}` : heading, ...rows.map((row) => cell(row))];
    return { cells, width: Math.max(least, ...cells.map((text) => text.length)) };
  });
  const taken = () => columns.reduce((sum, column) => sum + column.width + gap, 0);
  // What does not fit goes from the right, as in every table.
  while (columns.length > 1 && width - taken() < narrowestName) columns = columns.slice(0, -1);
  const nameWidth = Math.max(narrowestName, width - taken());
  const names = [`${usage.by.toUpperCase()}${sort === 'name' ? mark : ''}`, ...rows.map(nameOf)].map((name) => {
    const short = cut(visible(name), nameWidth, view);
    return short + ' '.repeat(Math.max(0, nameWidth - widthOf(short)));
  });
  return names.map((name, index) =>
    [name, ...columns.map((column) => (column.cells[index] ?? '').padStart(column.width))]
      .join(' '.repeat(gap))
      .trimEnd(),
  );
}

const nameOf = ({ name, teamAlias }: HolderFigures): string => (teamAlias === null ? name : `${name} (${teamAlias})`);

const isPlain = (ink: Ink): boolean => ink.ellipsis.length > 1;

/** Colours are put on whole lines that are short enough, so that none is cut in the middle. */
function cut(text: string, width: number, { widthOf, ink }: View): string {
  if (widthOf(text) <= width) return text;
  let short = '';
  for (const { segment } of new Intl.Segmenter().segment(text)) {
    if (widthOf(short + segment) > width - ink.ellipsis.length) break;
    short += segment;
  }
  return short + ink.ellipsis;
}

const whole = (amount: number): string => (amount < 100_000 ? amount.toLocaleString('en-US') : compact(amount));

function rate(amount: number): string {
  if (amount >= 100_000) return compact(amount);
  if (amount >= 100) return Math.round(amount).toLocaleString('en-US');
  return amount.toFixed(amount > 0 && amount < 1 ? 2 : 1);
}

function dollars(amount: number): string {
  if (amount > 0 && amount < 0.01) return '<$0.01';
  if (amount >= 100_000) return `$${compact(amount)}`;
  if (amount >= 1_000) return `$${Math.round(amount).toLocaleString('en-US')}`;
  return `$${amount.toFixed(2)}`;
}

const compact = (amount: number): string =>
  new Intl.NumberFormat('en-US', { notation: 'compact', maximumSignificantDigits: 3 }).format(amount);

function time(ms: number | null): string {
  if (ms === null) return '-';
  if (ms < 1_000) return `${ms}ms`;
  return ms < 10_000 ? `${(ms / 1_000).toFixed(1)}s` : `${Math.round(ms / 1_000)}s`;
}

/** `2 d 3 h`, `5 min`: the two units that matter. */
function span(seconds: number): string {
  const [days, hours, minutes] = [
    Math.floor(seconds / 86_400),
    Math.floor(seconds / 3_600) % 24,
    Math.floor(seconds / 60) % 60,
  ];
  if (days > 0) return `${days} d ${hours} h`;
  if (hours > 0) return `${hours} h ${minutes} min`;
  return minutes > 0 ? `${minutes} min` : `${Math.max(0, Math.floor(seconds))} s`;
}
