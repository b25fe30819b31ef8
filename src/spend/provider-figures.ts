import { GatewayError } from '../kernel/errors.ts';
import { dayOf } from '../kernel/period.ts';
import { isRecord } from '../kernel/record.ts';
import { csvRows } from './csv-rows.ts';

/** What can be compared. Costs are nano-dollars. */
export const measures = ['requests', 'input_tokens', 'output_tokens', 'cost'] as const;
export type Measure = (typeof measures)[number];

/** A line of a provider's own accounts. */
export interface Figure extends Readonly<Partial<Record<Measure, bigint>>> {
  /** In UTC. */
  readonly day: string;
  /** Empty where all models are in one figure. */
  readonly model: string;
  readonly requestId?: string | undefined;
}

const fields = ['day', 'model', 'request_id', ...measures] as const;
type Field = (typeof fields)[number];
export type Columns = Partial<Record<Field, string>>;

const unreadable = (message: string, hint?: string, cause?: unknown) =>
  new GatewayError('invalid', 'unreadable_figures', message, { hint, cause });

/** @throws GatewayError for what is neither known JSON nor CSV with a day and something to compare */
export function readFigures(text: string, columns: Columns): Figure[] {
  const figures = /^\s*[[{]/.test(text) ? fromJson(text) : fromCsv(text, columns);
  if (figures.length > 0) return figures;
  throw unreadable('There are no figures in the file', 'OpenAI and Anthropic answer in buckets with results.');
}

/** `cost=Amount` of the command line. */
export function readColumns(texts: readonly string[]): Columns {
  const columns: Columns = {};
  for (const text of texts) {
    const [, name = '', column] = /^([^=]+)=(.+)$/.exec(text) ?? [];
    const field = fields.find((each) => each === name);
    if (field && column) columns[field] = column;
    else {
      throw new GatewayError('usage', 'invalid_value', `--map: "${text}" is not field=Column`, {
        hint: `Fields: ${fields.join(' ')}`,
      });
    }
  }
  return columns;
}

/** Commas between thousands, and nothing else: `0,5` is not five. */
const plain = (text: string): string =>
  /^\s*[+-]?[$]?\d{1,3}(,\d{3})+(\.|\s*$)/.test(text) ? text.replaceAll(',', '') : text;

/** A decimal number as so many times its `scale`, exactly; undefined for what is none. */
function scaled(text: string, digits: number): bigint | undefined {
  const [, sign = '', whole = '', fraction = '', exponent = '0'] =
    /^\s*([+-]?)[$]?(\d{1,15})?(?:\.(\d+))?(?:e([+-]?\d{1,2}))?\s*$/i.exec(plain(text)) ?? [];
  if (whole === '' && fraction === '') return undefined;
  const shift = digits + Number(exponent) - fraction.length;
  const unscaled = BigInt(whole + fraction);
  const amount =
    shift >= 0
      ? unscaled * 10n ** BigInt(shift)
      : (unscaled * 2n + 10n ** BigInt(-shift)) / (2n * 10n ** BigInt(-shift));
  return sign === '-' ? -amount : amount;
}

const amountOf = (value: unknown, digits: number): bigint | undefined =>
  typeof value === 'number' || typeof value === 'string' ? scaled(String(value), digits) : undefined;

const nanoDollars = (value: unknown) => amountOf(value, 9);
const nanoOfCents = (value: unknown) => amountOf(value, 7);
const counted = (value: unknown) => amountOf(value, 0);

function pagesOf(text: string): unknown[] {
  try {
    const whole: unknown = JSON.parse(text);
    return Array.isArray(whole) ? whole : [whole];
  } catch (cause) {
    // Pages that were written one behind the other, each on its line.
    const lines = text.split('\n').filter((line) => line.trim() !== '');
    if (lines.length < 2) throw unreadable('The file is not JSON', undefined, cause);
    return lines.flatMap((line) => pagesOf(line));
  }
}

function fromJson(text: string): Figure[] {
  const pages = pagesOf(text).filter(isRecord);
  const last = pages.at(-1);
  if (last?.['has_more'] === true) {
    throw unreadable(
      'The file is only a part: its last page says that there is more',
      'Ask for the other pages too (next_page), and put them behind it, a page a line.',
    );
  }
  const buckets = pages.flatMap((page) => (Array.isArray(page['data']) ? page['data'].filter(isRecord) : [page]));
  return buckets.flatMap((bucket) => {
    const results = Array.isArray(bucket['results']) ? bucket['results'].filter(isRecord) : [];
    const day = dayFrom(bucket['start_time'] ?? bucket['starting_at']);
    if (results.length > 0 && day === undefined) throw unreadable('A bucket of the file does not say its day');
    return results.map((result) => Object.assign({ day: day ?? '' }, figureOf(result)));
  });
}

/** OpenAI's costs, Anthropic's, Anthropic's usage, OpenAI's usage: told apart by their members. */
function figureOf(result: Readonly<Record<string, unknown>>): Omit<Figure, 'day'> {
  const { amount, model, line_item: item } = result;
  if (isRecord(amount)) return { model: modelIn(item), cost: dollarsOf(amount) };
  // In cents, as a decimal text.
  if (amount !== undefined) return { model: nameOf(model), ...given({ cost: nanoOfCents(amount) }) };
  const { uncached_input_tokens: uncached, cache_creation: written, cache_read_input_tokens: read } = result;
  const outputTokens = counted(result['output_tokens']);
  if (uncached !== undefined) {
    const parts = [uncached, read, ...(isRecord(written) ? Object.values(written) : [])];
    const input = parts.reduce<bigint>((sum, part) => sum + (counted(part) ?? 0n), 0n);
    return { model: nameOf(model), input_tokens: input, ...given({ output_tokens: outputTokens }) };
  }
  const requests = counted(result['num_model_requests']);
  return {
    model: nameOf(model),
    ...given({ requests, input_tokens: counted(result['input_tokens']), output_tokens: outputTokens }),
  };
}

function dollarsOf({ value, currency }: Readonly<Record<string, unknown>>): bigint {
  if (typeof currency === 'string' && currency.toLowerCase() !== 'usd') {
    throw unreadable(`The file is in ${currency}, and spend is in US dollars`);
  }
  return nanoDollars(value) ?? 0n;
}

const nameOf = (value: unknown): string => (typeof value === 'string' ? value : '');
/** `gpt-4o-2024-08-06, input`. */
const modelIn = (item: unknown): string => nameOf(item).split(',')[0]?.trim() ?? '';

const given = (values: Partial<Record<Measure, bigint | undefined>>): Partial<Record<Measure, bigint>> =>
  Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined));

/** Seconds since 1970, a date, or a moment. */
function dayFrom(value: unknown): string | undefined {
  const text = String(value).trim();
  const date = /^\d{9,11}(\.\d+)?$/.test(text) ? new Date(Number(text) * 1_000) : new Date(text);
  if (value === undefined || value === null || Number.isNaN(date.getTime())) return undefined;
  // A moment without a zone is in UTC, whatever the zone here.
  return /^\d{4}-\d\d-\d\d/.test(text) && !/(Z|[+-]\d\d:?\d\d)$/.test(text) ? text.slice(0, 10) : dayOf(date);
}

/** How the columns are called that providers let people download, and those of this gateway's own export. */
const known: Readonly<Record<Field, readonly string[]>> = {
  day: [
    'day',
    'date',
    'usage_date_utc',
    'usage_date',
    'start_time_iso',
    'start_time',
    'starting_at',
    'timestamp',
    'end_time',
  ],
  model: ['model', 'model_version', 'model_name', 'line_item'],
  request_id: ['request_id'],
  requests: ['requests', 'num_model_requests', 'num_requests'],
  input_tokens: ['input_tokens', 'prompt_tokens', 'n_context_tokens_total'],
  output_tokens: ['output_tokens', 'completion_tokens', 'usage_output_tokens', 'n_generated_tokens_total'],
  cost: ['cost', 'cost_usd', 'amount_value', 'spend', 'total_cost', 'amount'],
};
/** Anthropic counts input in parts. */
const inputPart = /^usage_input_tokens_/;

function fromCsv(text: string, columns: Columns): Figure[] {
  const rows = parsed(text);
  const header = (rows.shift() ?? []).map((name) => name.trim());
  const places = Object.fromEntries(fields.map((field) => [field, placesOf(field, header, columns)]));
  if (places['day']?.length === 0 || !measures.some((measure) => places[measure]?.length)) {
    throw unreadable(
      `The file has no column for ${places['day']?.length === 0 ? 'the day' : 'tokens or cost'}: ${header.join(', ').slice(0, 300)}`,
      'Name it: --map day=Date,model=Model,cost=Amount',
    );
  }
  return rows.map((row, index) => {
    const at = (field: Field) => (places[field] ?? []).map((place) => row[place] ?? '').filter((cell) => cell !== '');
    const day = dayFrom(at('day')[0]);
    if (day === undefined) throw unreadable(`Line ${index + 2} of the file has no day: "${at('day')[0] ?? ''}"`);
    const sum = (field: Measure) => summed(at(field), { field, line: index + 2 });
    const amounts = given(Object.fromEntries(measures.map((measure) => [measure, sum(measure)])));
    return Object.assign({ day, model: modelIn(at('model')[0]), requestId: at('request_id')[0] }, amounts);
  });
}

function parsed(text: string): string[][] {
  try {
    return [...csvRows(text)];
  } catch (cause) {
    throw unreadable('The file is neither JSON nor CSV', undefined, cause);
  }
}

function placesOf(field: Field, header: readonly string[], columns: Columns): number[] {
  const named = columns[field];
  if (named !== undefined) {
    const place = header.indexOf(named);
    if (place >= 0) return [place];
    throw unreadable(`The file has no column "${named}"`, `Columns: ${header.join(', ').slice(0, 300)}`);
  }
  const lower = header.map((name) => name.toLowerCase().replaceAll(' ', '_'));
  const place = known[field].map((name) => lower.indexOf(name)).find((each) => each >= 0);
  if (place !== undefined) return [place];
  return field === 'input_tokens' ? lower.flatMap((name, index) => (inputPart.test(name) ? [index] : [])) : [];
}

function summed(cells: readonly string[], { field, line }: { field: Measure; line: number }): bigint | undefined {
  if (cells.length === 0) return undefined;
  return cells.reduce<bigint>((sum, cell) => {
    const amount = field === 'cost' ? nanoDollars(cell) : counted(cell);
    if (amount === undefined) throw unreadable(`Line ${line} of the file: "${cell}" is no number for ${field}`);
    return sum + amount;
  }, 0n);
}
