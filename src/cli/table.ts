import { memberAt, type Row } from './answer.ts';
import type { CommandLine } from '../kernel/operation.ts';
import { isNumeric, shown } from './cell.ts';
import type { Presentation } from './presentation.ts';
import { visible } from './visible.ts';

export interface TableText {
  readonly text: string;
  /** Headings of the columns that did not fit. */
  readonly dropped: readonly string[];
}

interface Place {
  readonly now: Date;
  /** Columns of the terminal; absent where there is no edge. */
  readonly width: number | undefined;
  readonly bold: (text: string) => string;
  readonly ellipsis: string;
  readonly forEyes?: CommandLine['forEyes'];
}

interface Column {
  readonly heading: string;
  readonly cells: readonly string[];
  readonly isRight: boolean;
  readonly canShrink: boolean;
  readonly width: number;
}

const gap = 2;
const narrowest = 8;

/** Beyond this cli-table3 takes longer than the database did: its time grows with the square of the rows. */
const largest = 500;

/**
 * Rows under headings: no frame, numbers to the right, `-` for what is absent.
 *
 * Too wide, text gives way first, then columns go from the right. Ids and secrets are never cut: half an id is no id.
 */
export async function table(
  rows: readonly Row[],
  presentation: Presentation,
  id: string | undefined,
  place: Place,
): Promise<TableText> {
  const { default: widthOf } = await import('string-width');
  const columns = presentation.columns.map((name): Column => {
    const field = presentation.shape.members[name];
    const heading = presentation.shape.heading(name);
    const cells = rows.map((row) =>
      visible(shown(presentation.shape.cell(row, name), field?.format, place.now) ?? '-'),
    );
    const isRight = isNumeric(field);
    return {
      heading,
      cells,
      isRight,
      canShrink: !isRight && field?.format === undefined && name !== id && !isReference.test(name),
      width: Math.max(widthOf(heading), ...cells.map((cell) => widthOf(cell))),
    };
  });
  const kept = place.width === undefined ? columns : fit(columns, place.width);
  const dropped = columns.slice(kept.length).map(({ heading }) => heading);
  const room = place.width === undefined || dropped.length > 0 ? 0 : place.width - total(kept) - gap;
  const bar = barColumn(rows, { ...place, room });
  const cut = [...kept, ...(bar ? [bar] : [])].map((column): Column => {
    const cells = column.cells.map((cell) => shorten(cell, column.width, widthOf, place.ellipsis));
    return Object.assign({}, column, { cells });
  });
  const body = rows.length > largest ? padded(cut, widthOf) : await drawn(cut);
  const [head = '', ...lines] = body.split('\n').map((line) => line.trimEnd());
  return { text: `${[place.bold(head), ...lines].join('\n')}\n`, dropped };
}

const bars = { widest: 30, narrowest: 6 } as const;

/** How rows compare, as bars in what room is left on the line: none where there is too little, or nothing to compare. */
function barColumn(
  rows: readonly Row[],
  { forEyes, room, ellipsis }: Place & { readonly room: number },
): Column | undefined {
  const longest = Math.min(bars.widest, room);
  if (!forEyes || longest < bars.narrowest) return undefined;
  const amounts = rows.map((row) => (row[forEyes.isTotal] === true ? 0 : Number(memberAt(row, forEyes.bar) ?? 0)));
  const most = Math.max(...amounts);
  if (amounts.length < 2 || !(most > 0)) return undefined;
  // Where an ellipsis has to be three dots, blocks cannot be shown either.
  const mark = ellipsis.length === 1 ? '█' : '#';
  // What is not nothing is seen, however little it is.
  const cells = amounts.map((amount) =>
    mark.repeat(amount > 0 ? Math.max(1, Math.round((amount / most) * longest)) : 0),
  );
  return { heading: '', cells, isRight: false, canShrink: false, width: longest };
}

/** Columns that name an object: of any use only when they are whole. */
const isReference = /(^|_)(id|token|key|hash)$|^key_name$/;

const total = (columns: readonly Column[]): number =>
  columns.reduce((sum, { width }) => sum + width, 0) + gap * (columns.length - 1);

function fit(columns: readonly Column[], width: number): readonly Column[] {
  const shrunk = shrink(columns, width);
  if (total(shrunk) <= width || columns.length === 1) return shrunk;
  return fit(columns.slice(0, -1), width);
}

/** The widest text loses a column at a time, so that short ones stay whole. */
function shrink(columns: readonly Column[], width: number): readonly Column[] {
  const result = [...columns];
  for (let excess = total(columns) - width; excess > 0; excess--) {
    let widest = -1;
    for (const [index, column] of result.entries()) {
      const least = Math.max(narrowest, column.heading.length);
      if (column.canShrink && column.width > least && column.width > (result[widest]?.width ?? 0)) widest = index;
    }
    const column = result[widest];
    if (!column) break;
    result[widest] = { ...column, width: column.width - 1 };
  }
  return result;
}

type WidthOf = (text: string) => number;

function shorten(text: string, width: number, widthOf: WidthOf, ellipsis: string): string {
  if (widthOf(text) <= width) return text;
  let short = '';
  for (const { segment } of new Intl.Segmenter().segment(text)) {
    if (widthOf(short + segment) > width - ellipsis.length) break;
    short += segment;
  }
  return short + ellipsis;
}

async function drawn(columns: readonly Column[]): Promise<string> {
  const { default: CliTable } = await import('cli-table3');
  const sides = ['top', 'top-mid', 'top-left', 'top-right', 'bottom', 'bottom-mid', 'bottom-left', 'bottom-right'];
  const inner = ['left', 'left-mid', 'mid', 'mid-mid', 'right', 'right-mid', 'middle'];
  const drawing = new CliTable({
    head: columns.map(({ heading }) => heading),
    colAligns: columns.map(({ isRight }) => (isRight ? 'right' : 'left')),
    chars: { ...Object.fromEntries([...sides, ...inner].map((name) => [name, ''])), middle: ' '.repeat(gap) },
    // It would write colour into pipes otherwise; the one place that decides is colour.ts.
    style: { head: [], border: [], 'padding-left': 0, 'padding-right': 0 },
  });
  for (const index of columns[0]?.cells.keys() ?? []) drawing.push(columns.map(({ cells }) => cells[index] ?? ''));
  return drawing.toString();
}

function padded(columns: readonly Column[], widthOf: WidthOf): string {
  const line = (cell: (column: Column) => string) =>
    columns
      .map((column) => {
        const text = cell(column);
        const blank = ' '.repeat(Math.max(0, column.width - widthOf(text)));
        return column.isRight ? blank + text : text + blank;
      })
      .join(' '.repeat(gap));
  const rows = [...(columns[0]?.cells.keys() ?? [])].map((index) => line(({ cells }) => cells[index] ?? ''));
  return [line(({ heading }) => heading), ...rows].join('\n');
}

/** One object, a member on each line. */
export function block(row: Row, { shape }: Presentation, { now, bold }: Place): string {
  const names = Object.keys(row);
  const width = Math.max(0, ...names.map((name) => name.length)) + 1;
  return names
    .map((name) => {
      const value = visible(shown(shape.cell(row, name), shape.members[name]?.format, now) ?? '-');
      return `${bold(`${visible(name)}:`.padEnd(width))} ${value}\n`;
    })
    .join('');
}
