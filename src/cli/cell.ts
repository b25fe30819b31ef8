import type { WireField } from '../kernel/wire.ts';

/** How a value looks to a person. `undefined` is absent. */
export function shown(value: unknown, format: string | undefined, now: Date): string | undefined {
  if (value === null || value === undefined || value === '') return undefined;
  if (format === 'usd' && typeof value === 'number') return money(value);
  if (format === 'date-time' && typeof value === 'string') return relative(value, now);
  if (typeof value === 'boolean') return value ? 'yes' : 'no';
  if (Array.isArray(value)) return value.length > 0 ? value.map((each) => exact(each)).join(', ') : undefined;
  return exact(value);
}

/** How a value looks to a program: nothing rounded, nothing relative, nothing that depends on a locale. */
export function exact(value: unknown): string {
  if (value === null || value === undefined) return '';
  if (typeof value === 'number') return plain(value);
  if (Array.isArray(value) && value.every((each) => typeof each !== 'object')) return value.map(exact).join(',');
  return typeof value === 'string' ? value : (JSON.stringify(value) ?? '');
}

/** `0.0000001` and not `1e-7`, which `awk` and spreadsheets read differently. */
function plain(value: number): string {
  const text = String(value);
  if (!text.includes('e-')) return text;
  return value.toFixed(20).replace(/0+$/, '');
}

/** Cents; below a cent the first two digits that are not zero, because tokens cost that little. */
export function money(dollars: number): string {
  if (dollars !== 0 && Math.abs(dollars) < 0.01) return `$${plain(Number(dollars.toPrecision(2)))}`;
  return `$${dollars.toLocaleString('en-US', { minimumFractionDigits: 2, maximumFractionDigits: 2 })}`;
}

/** From how many seconds on a unit is used, and how many it has. Days go on to 100, as people give them to keys. */
const steps = [
  ['year', 63_115_200, 31_557_600],
  ['month', 8_640_000, 2_629_800],
  ['day', 86_400, 86_400],
  ['hour', 3_600, 3_600],
  ['minute', 60, 60],
] as const;

/** `in 3 days`, `2 hours ago`. */
export function relative(moment: string, now: Date): string {
  const seconds = (Date.parse(moment) - now.getTime()) / 1_000;
  if (Number.isNaN(seconds)) return moment;
  const words = new Intl.RelativeTimeFormat('en', { numeric: 'always' });
  for (const [unit, from, length] of steps) {
    if (Math.abs(seconds) >= from) return words.format(Math.round(seconds / length), unit);
  }
  return words.format(Math.round(seconds), 'second');
}

/** Whether a column is set to the right. */
export const isNumeric = (field: WireField | undefined): boolean =>
  field?.type === 'number' || field?.type === 'integer';
