import type { Command } from 'commander';
import { GatewayError } from '../kernel/errors.ts';
import { idempotencyKeyField, idempotencyKeyFlag } from './change-flags.ts';
import { type Parameter } from './parameter.ts';
import { isField, type Parameters } from './parameters.ts';
import type { Sources } from './sources.ts';
import { oneLine, type TargetFlags } from './target.ts';
import { usage } from './usage.ts';
import { emptyValue, parseValue } from './value.ts';

export type Fields = Record<string, unknown>;

/** What a command was given, as it travels. Texts in files and on standard input have been read. */
export async function readInput(
  command: Command,
  { args, flags }: Parameters,
  sources: Sources,
  { insecureArgv = false }: Pick<TargetFlags, 'insecureArgv'> = {},
): Promise<Fields> {
  const input: Fields = {};
  for (const [index, parameter] of args.entries()) {
    const texts = parameter.shape.type === 'array' ? command.args.slice(index) : command.args.slice(index, index + 1);
    if (texts.length > 0) Object.assign(input, await valueOf(parameter, `<${parameter.name}>`, texts, undefined));
  }
  const given = command.opts<Fields>();
  for (const parameter of flags) {
    const value = given[parameter.field];
    if (value === undefined || !isField(parameter.field)) continue;
    const read = await flagValue(parameter, value, sources);
    if (parameter.secrets && !insecureArgv) refuseSecret(parameter, value, read);
    Object.assign(input, read);
  }
  return input;
}

/** Only what stands on the line itself is judged: a file and standard input are where secrets belong. */
function refuseSecret({ field, name, secrets = [] }: Parameter, typed: unknown, read: Fields): void {
  const text = String(typed);
  if (text === '-' || (text.startsWith('@') && !text.startsWith('@@'))) return;
  const isWhole = secrets.includes(field);
  if (!isWhole && !holdsMember(read[field], secrets)) return;
  if (isWhole && !isLiteral(read[field])) return;
  const member = isWhole ? '' : ` holds ${secrets.join(' or ')}, and`;
  throw usage(
    'secret_in_argv',
    `--${name}${member} would put a secret on the command line, where other users see it and your history keeps it.`,
    [
      `Put it into a file:     --${name} @/path/to/file`,
      `Pass it on stdin:       --${name} -`,
      'Name a variable of the daemon: os.environ/NAME',
    ].join('\n'),
  );
}

const isLiteral = (value: unknown): boolean =>
  value !== null && value !== undefined && !(typeof value === 'string' && value.startsWith('os.environ/'));

function holdsMember(value: unknown, names: readonly string[]): boolean {
  if (typeof value !== 'object' || value === null) return false;
  return Object.entries(value).some(([name, each]) =>
    names.includes(name) ? isLiteral(each) : holdsMember(each, names),
  );
}

async function flagValue(parameter: Parameter, value: unknown, sources: Sources): Promise<Fields> {
  if (typeof value === 'boolean') return { [parameter.field]: value };
  const texts = Array.isArray(value) ? value.map(String) : [String(value)];
  return valueOf(parameter, `--${parameter.name}`, texts, sources);
}

/** The fields that texts stand for: mostly one, but a flag may have a meaning of its own. */
export async function valueOf(
  { field, shape, parse, placeholder }: Parameter,
  flag: string,
  texts: readonly string[],
  sources: Sources | undefined,
): Promise<Fields> {
  if (texts.includes('')) throw emptyValue(flag);
  if (parse) return own(flag, parse, texts);
  if (shape.type === 'array') return { [field]: listOf(flag, texts, shape, sources !== undefined) };
  const last = texts.at(-1) ?? '';
  const isText = shape.type === 'object' || (shape.type === 'string' && !shape.enum && !shape.format);
  // Only where the flag says so: a lone dash is a fine alias.
  const isStdin = last === '-' && (shape.type === 'object' || placeholder?.split('|').includes('-'));
  if (sources && isText && isStdin) return { [field]: parseValue(flag, await sources.stdin(flag), shape) };
  const text = sources && isText ? await readReference(flag, last, sources) : last;
  return { [field]: parseValue(flag, text, shape) };
}

/** Whatever a flag's own reading finds wrong is a mistake in the command line, wherever it was found. */
function own(flag: string, parse: NonNullable<Parameter['parse']>, texts: readonly string[]): Fields {
  try {
    return Object.assign({}, ...texts.map(parse));
  } catch (error) {
    if (!(error instanceof GatewayError)) throw error;
    const message = error.message.startsWith('--') ? error.message : `${flag}: ${error.message}`;
    throw usage(error.type, message, error.hint);
  }
}

/** `--models a,b --models c`; `none` alone is the empty list. By position, a comma is part of the name. */
function listOf(flag: string, texts: readonly string[], shape: Parameter['shape'], isSplit: boolean): unknown {
  const items = isSplit && shape.items?.type !== 'object' ? texts.flatMap((text) => text.split(',')) : texts;
  if (isSplit && items.length === 1 && items[0] === 'none') return [];
  const each = { ...shape.items, nullable: false };
  return items.map((text) => parseValue(flag, text, each));
}

async function readReference(flag: string, text: string, sources: Sources): Promise<string> {
  if (text.startsWith('@@')) return text.slice(1);
  return text.startsWith('@') ? sources.file(text.slice(1), flag) : text;
}

/** The field that names a key, from a secret nobody may see: only the hash leaves this process. */
export async function keyField(field: string, args: readonly Parameter[], secret: string): Promise<Fields> {
  // Loaded here, because the 8 ms that node:crypto takes would be paid by every command.
  const { hashSecret } = await import('../kernel/secret.ts');
  const hash = hashSecret(oneLine(secret, '--key-stdin'));
  const isList = args.some((each) => each.field === field && each.shape.type === 'array');
  return { [field]: isList ? [hash] : hash };
}

/** What the line says of the change itself, or the file or standard input it names. */
export async function idempotencyKeyOf(command: Command, sources: Sources): Promise<string | undefined> {
  const given = command.opts<Fields>()[idempotencyKeyField];
  if (typeof given !== 'string') return undefined;
  const read = await valueOf(idempotencyKeyFlag, `--${idempotencyKeyFlag.name}`, [given], sources);
  return String(read[idempotencyKeyField]);
}
