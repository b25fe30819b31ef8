import type { Flag } from '../kernel/operation.ts';
import type { Commandable } from './commandable.ts';
import { describeField, wireSchema } from '../kernel/wire.ts';
import type { LocalCommand } from './local-command.ts';
import { changeFlags, idempotencyKeyField } from './change-flags.ts';
import type { Parameter } from './parameter.ts';

/** What a command takes: first by position, then as flags. */
export interface Parameters {
  readonly args: readonly Parameter[];
  readonly flags: readonly Parameter[];
}

const kebab = (field: string) => field.replaceAll('_', '-');

/** What an operation takes on the command line, as its input schema and its `cli` say. */
export function parametersOf(operation: Commandable<never>): Parameters {
  const { args = [], flags = {}, fixed = {}, keyStdin, completes = {}, pages, values } = operation.cli;
  const { properties = {}, required = [] } = wireSchema(operation.input);
  const secrets = Object.keys(flags).filter((field) => isFlag(flags[field]) && flags[field].isSecret);
  const all = Object.entries(properties).flatMap(([field, description]): Parameter[] => {
    const flag = flags[field];
    const shape = describeField(description);
    if (Object.hasOwn(fixed, field) || (flag === false && !args.includes(field))) return [];
    return [
      {
        ...fromField(
          field,
          field === pages?.size ? { ...shape, default: pageSize } : shape,
          required.includes(field) && field !== keyStdin,
          flag || undefined,
        ),
        ...(completes[field] ? { completes: completes[field] } : {}),
        secrets: secrets.length > 0 ? secrets : undefined,
      },
    ];
  });
  const positional = args.map((field) => {
    const found = all.find((each) => each.field === field);
    if (!found)
      throw new Error(`${operation.command.join(' ')}: cli.args names ${field}, which the input does not have`);
    // Its field may have a default for clients that name objects in other ways; a command names them here.
    return found.shape.type === 'array' && field !== keyStdin ? { ...found, isRequired: true } : found;
  });
  const named = all.filter(({ field }) => !args.includes(field));
  const more = [...(values ? valueFlags : []), ...(pages ? [allPages] : []), ...(keyStdin ? [keyFromStdin] : [])];
  return { args: positional, flags: [...named, ...more, ...changeFlags(operation)] };
}

const isFlag = (flag: string | Flag | false | undefined): flag is Flag => typeof flag === 'object';

function fromField(
  field: string,
  shape: Parameter['shape'],
  isRequired: boolean,
  flag: string | Flag | undefined,
): Parameter {
  const given: Partial<Flag> = typeof flag === 'string' ? { name: flag } : (flag ?? {});
  return {
    field,
    name: given.name ?? kebab(field),
    shape,
    // A schema speaks of null, which a command line cannot send but as none.
    description: given.description ?? shape.description?.replace(/\bnull\b/g, 'none') ?? '',
    isRequired,
    placeholder: given.placeholder,
    completes: given.completes,
    parse: given.parse,
  };
}

/** Entries on a page where nothing else is said: what people expect of a list is more than an API's first page. */
export const pageSize = 100;

/** The attributes under which flags are kept that are no fields; no field can have these names. */
export const keyStdinField = 'key-stdin';
export const allField = 'all-pages';
export const valueFields = { file: 'value-file', env: 'value-env', stdin: 'value-stdin' } as const;

const noFields: ReadonlySet<string> = new Set([
  keyStdinField,
  allField,
  idempotencyKeyField,
  ...Object.values(valueFields),
]);
export const isField = (field: string): boolean => !noFields.has(field);

const valueFlag = (name: string, placeholder: string, description: string): Parameter => ({
  field: name,
  name,
  shape: { type: 'array', items: { type: 'string' }, nullable: false },
  placeholder,
  description,
  isRequired: false,
});

const valueFlags: readonly Parameter[] = [
  { ...valueFlag(valueFields.file, 'name=path', 'A value from a file'), completes: 'file' },
  valueFlag(valueFields.env, 'name=VAR', 'A value from a variable of this command’s environment'),
  valueFlag(valueFields.stdin, 'name', 'A value from standard input'),
];

const allPages: Parameter = {
  field: allField,
  name: 'all',
  shape: { type: 'boolean', nullable: false, default: false },
  description: 'The whole list, however many pages it has',
  isRequired: false,
};

const keyFromStdin: Parameter = {
  field: keyStdinField,
  name: 'key-stdin',
  // `default: false` says that there is nothing to negate.
  shape: { type: 'boolean', nullable: false, default: false },
  description: 'Name the key by its secret, read from standard input; only its hash is sent',
  isRequired: false,
};

/** The same for a command that is not an operation. */
export function localParametersOf({ args = [], options = [] }: LocalCommand): Parameters {
  return {
    args: args.map((each) => ({
      ...each,
      field: each.name,
      shape: localShape(each),
      isRequired: each.isRequired ?? false,
    })),
    flags: options.map((each) => ({
      ...each,
      field: each.name,
      shape: localShape(each),
      isRequired: each.isRequired ?? false,
    })),
  };
}

interface LocalShape {
  readonly type?: LocalType | undefined;
  readonly choices?: readonly string[] | undefined;
}

/** What a local command's flag takes. */
export type LocalType = 'text' | 'when' | 'boolean' | 'integer' | 'number' | 'duration' | 'list' | 'usd';

function localShape({ type = 'text', choices }: LocalShape): Parameter['shape'] {
  const nullable = false;
  const text = choices ? { type: 'string', enum: [...choices] } : { type: 'string' };
  const shapes = {
    text: { ...text, nullable },
    when: { type: 'string', format: 'date', nullable },
    boolean: { type: 'boolean', nullable, default: false },
    integer: { type: 'integer', nullable },
    number: { type: 'number', nullable },
    duration: { type: 'string', format: 'duration', nullable },
    list: { type: 'array', items: text, nullable },
    usd: { type: 'number', format: 'usd', nullable },
  } satisfies Record<LocalType, Parameter['shape']>;
  return shapes[type];
}
