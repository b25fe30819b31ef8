import type { Row } from './answer.ts';
import { memberAt } from './answer.ts';
import { exact } from './cell.ts';
import type { Presentation } from './presentation.ts';

/** Tab-separated: one line for each row, nothing shortened, so that `cut` and `awk` can be trusted with it. */
export function tsv(rows: readonly Row[], { columns, hasHeader, shape }: Presentation): string {
  const lines = rows.map((row) => tabbed(columns.map((column) => memberAt(row, column))));
  return join(hasHeader ? [columns.map(shape.heading).join('\t'), ...lines] : lines);
}

const tabbed = (values: readonly unknown[]): string => values.map((value) => escapeTab(exact(value))).join('\t');

/** One line of it. */
export const tsvLine = (values: readonly unknown[]): string => `${tabbed(values)}\n`;

const escapes: Readonly<Record<string, string>> = {
  '\t': String.raw`\t`,
  '\n': String.raw`\n`,
  '\r': String.raw`\r`,
  '\\': '\\\\',
};

const escapeTab = (text: string): string => text.replace(/[\t\n\r\\]/g, (character) => escapes[character] ?? character);

/** RFC 4180, with a header before its first page: a CSV file goes to people's spreadsheets. */
export function csv(rows: readonly Row[], { columns, hasHeader }: Presentation): string {
  const lines = rows.map((row) => csvLine(columns.map((column) => memberAt(row, column))));
  return join(hasHeader ? [columns.map(quote).join(','), ...lines] : lines);
}

/** One line of it, without its end. */
export const csvLine = (values: readonly unknown[]): string => values.map(csvCell).join(',');

function csvCell(value: unknown): string {
  // A spreadsheet runs a text that begins like this as a formula, and the text may be anybody's alias.
  const isFormula = typeof value !== 'number' && /^[=+\-@\t\r]/.test(exact(value));
  return quote(isFormula ? `'${exact(value)}` : exact(value));
}

const quote = (text: string): string => (/[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);

const join = (lines: readonly string[]): string => lines.map((line) => `${line}\n`).join('');
