import type { Commandable } from './commandable.ts';
import { describeField, type WireField, type WireSchema, wireSchema } from '../kernel/wire.ts';

export type Row = Readonly<Record<string, unknown>>;

/** What an operation answers, seen from the command line: one object or a list of them. */
export interface AnswerShape {
  /** The members of the object, or of each in the list, where the schema says. */
  readonly members: Readonly<Record<string, ReturnType<typeof describeField>>>;
  readonly columns: readonly string[];
  readonly wide: readonly string[];
  readonly heading: (column: string) => string;
  /** A member as a person sees it, before it is formatted. */
  readonly cell: (row: Row, column: string) => unknown;
}

export function shapeOf(operation: Commandable<never>): AnswerShape {
  const { cli } = operation;
  const whole: WireSchema & WireField = wireSchema(operation.output);
  const part = cli.result === undefined ? whole : (whole.properties?.[cli.result] ?? {});
  const item = objectIn(part);
  const members = Object.fromEntries(
    Object.entries(item.properties ?? {}).map(([name, field]) => [name, describeField(field)]),
  );
  const named = Object.keys(members).filter((name) => name !== cli.secret);
  const columns = cli.columns ?? (named.length > 0 ? named : [cli.id ?? plainColumn]);
  return {
    cell: (row, column) => {
      const value = memberAt(row, column);
      return value === null || value === undefined ? value : (cli.cells?.[column]?.(value) ?? value);
    },
    members,
    columns,
    wide: [...columns, ...(cli.wide ?? [])],
    heading: (column) => cli.headings?.[column] ?? column.replaceAll('_', '-').replaceAll('.', '-').toUpperCase(),
  };
}

/**
 * The description of an object, also when it stands in a list, or beside a shorter form such as its id. Where objects of
 * several forms may come, such as keys that are there and keys that were deleted, it has the members of all.
 */
function objectIn(field: WireField): WireField {
  if (field.anyOf) return { properties: Object.assign({}, ...field.anyOf.map((form) => objectIn(form).properties)) };
  return field.items ? objectIn(field.items) : field;
}

/** The column of a list that holds texts and no objects. */
const plainColumn = 'value';

/** The object or the list that was asked for, out of what LiteLLM's routes wrap around it. */
export function resultOf(operation: Commandable<never>, answer: unknown): unknown {
  const { result } = operation.cli;
  if (result === undefined) return answer;
  return isRow(answer) ? answer[result] : undefined;
}

/** The same as rows: one for each object in a list, and one for an object by itself. */
export function rowsOf(operation: Commandable<never>, result: unknown): readonly Row[] {
  const { id = plainColumn } = operation.cli;
  if (!Array.isArray(result)) return [isRow(result) ? result : {}];
  return result.map((each: unknown) => (isRow(each) ? each : { [id]: each }));
}

export const isRow = (value: unknown): value is Row =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** A member of a member: `litellm_params.model`. */
export function memberAt(row: unknown, path: string): unknown {
  if (isRow(row) && Object.hasOwn(row, path)) return row[path];
  let value: unknown = row;
  for (const name of path.split('.')) value = isRow(value) && Object.hasOwn(value, name) ? value[name] : undefined;
  return value;
}
