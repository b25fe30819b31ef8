import { Argument, Option } from 'commander';
import type { Completes, Flag } from '../kernel/operation.ts';
import type { Shape } from './value.ts';

/** One thing a command takes, as a flag or by position, wherever the command comes from. */
export interface Parameter {
  /** The name under which it travels. */
  readonly field: string;
  /** The flag without its dashes, or the argument's name. */
  readonly name: string;
  readonly shape: Shape;
  readonly description: string;
  readonly isRequired: boolean;
  readonly placeholder?: string | undefined;
  readonly completes?: Completes | undefined;
  readonly parse?: Flag['parse'] | undefined;
  /** Members of this name, or the whole value, hold a secret and must not stand on the command line. */
  readonly secrets?: readonly string[] | undefined;
  /** An environment variable that answers it too; shown in help, without its value. */
  readonly env?: string | undefined;
  readonly isHidden?: boolean | undefined;
}

/** The only letters there are, each for one flag wherever that occurs. */
const letters: Readonly<Record<string, string>> = {
  output: '-o',
  quiet: '-q',
  verbose: '-v',
  yes: '-y',
  limit: '-n',
  file: '-f',
  config: '-c',
};

const parameters = new WeakMap<Option | Argument, Parameter>();

/** What a flag or an argument of the tree takes; nothing for those that are not ours. */
export const parameterOf = (target: Option | Argument): Parameter | undefined => parameters.get(target);

/** What can be completed in place of a flag's value or an argument, and whether it is a list with commas. */
export function completesOf(target: Option | Argument): {
  readonly completes?: Completes | undefined;
  readonly isList: boolean;
} {
  const parameter = parameters.get(target);
  return { completes: parameter?.completes, isList: parameter?.shape.type === 'array' };
}

export function placeholderOf({ placeholder, shape }: Parameter): string {
  if (placeholder) return placeholder;
  const kind = kindOf(shape);
  return shape.nullable && shape.type !== 'array' ? `${kind}|none` : kind;
}

function kindOf({ type, format, enum: choices, items }: Shape): string {
  const list = choices?.join('|');
  if (list) return list.length <= 30 ? list : 'choice';
  if (type === 'array') return items?.enum ? 'a,b' : 'name,…';
  if (format === 'usd') return 'usd';
  if (format === 'duration') return 'duration';
  if (format === 'date-time') return 'date';
  return { number: 'number', integer: 'n', object: 'json' }[type ?? ''] ?? 'text';
}

/** An option kept under the name its field travels by; commander would make it camelCase. */
class ParameterOption extends Option {
  readonly #field: string;

  constructor(field: string, flags: string, description: string) {
    super(flags, description);
    this.#field = field;
  }

  override attributeName(): string {
    return this.#field;
  }
}

/** The commander options of a parameter: two for a boolean, so that it can be set to no. */
export function optionsFor(parameter: Parameter): readonly Option[] {
  const { field, name, shape, description, isHidden } = parameter;
  const flag = [letters[name], `--${name}`].filter(Boolean).join(', ');
  if (shape.type === 'boolean') {
    const yes = new ParameterOption(field, flag, description);
    // A flag that is itself called `--no-input` means yes; commander takes every `--no-` for a no.
    yes.negate = false;
    const no = shape.default === false ? [] : [new ParameterOption(field, `--no-${name}`, description)];
    return [yes, ...no].map((option) => remember(option.hideHelp(isHidden ?? false), parameter));
  }
  const option = new ParameterOption(field, `${flag} <${placeholderOf(parameter)}>`, description);
  // Given twice, a list grows and anything else keeps the last, as everywhere.
  if (isRepeatable(parameter)) option.argParser((text: string, previous: unknown) => [...listOf(previous), text]);
  setChoices(option, shape);
  return [remember(option.hideHelp(isHidden ?? false), parameter)];
}

/** Only for those who read the tree: `choices()` would also check, in words that are not ours. */
function setChoices(target: Option | Argument, { enum: choices, items }: Shape): void {
  const all = choices ?? items?.enum;
  if (all) target.argChoices = all;
}

export const isRepeatable = ({ shape }: Parameter): boolean => shape.type === 'array';

const listOf = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : []);

export function argumentFor(parameter: Parameter): Argument {
  const { name, shape, description, isRequired } = parameter;
  const label = shape.type === 'array' ? `${name}...` : name;
  const argument = new Argument(isRequired ? `<${label}>` : `[${label}]`, description);
  setChoices(argument, shape);
  return remember(argument, parameter);
}

function remember<Target extends Option | Argument>(target: Target, parameter: Parameter): Target {
  parameters.set(target, parameter);
  return target;
}
