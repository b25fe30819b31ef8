import type { Commandable } from './commandable.ts';
import type { Fields } from './input.ts';
import { valueFields } from './parameters.ts';
import type { Session } from './session.ts';
import { usage } from './usage.ts';

/** The members of the field that holds secrets, from wherever each was said to be. What JSON said of it stays beside them. */
export async function readValues<Services>(
  { cli: { values: field } }: Commandable<Services>,
  options: Fields,
  { sources, io }: Pick<Session<Services>, 'sources' | 'io'>,
  input: Fields,
): Promise<Fields> {
  if (field === undefined) return {};
  const read = new Map<string, string>();
  const add = (flag: string, name: string, value: string) => {
    if (read.has(name)) throw usage('ambiguous_value', `--${flag}: ${name} is given twice.`, 'Leave one of them out.');
    if (value === '') throw usage('empty_value', `--${flag}: the value of ${name} is empty.`);
    read.set(name, value);
  };
  for (const text of textsOf(options, valueFields.file)) {
    const [name, path] = pairOf(valueFields.file, text);
    add(valueFields.file, name, await sources.file(path, `--${valueFields.file}`));
  }
  for (const text of textsOf(options, valueFields.env)) {
    const [name, variable] = pairOf(valueFields.env, text);
    const value = io.env[variable];
    if (value === undefined) throw usage('unset_variable', `--${valueFields.env}: ${variable} is not set.`);
    add(valueFields.env, name, value);
  }
  for (const name of textsOf(options, valueFields.stdin)) {
    add(valueFields.stdin, name, await sources.stdin(`--${valueFields.stdin}`));
  }
  if (read.size === 0) return {};
  const given = input[field];
  return { [field]: { ...(typeof given === 'object' ? given : {}), ...Object.fromEntries(read) } };
}

const textsOf = (options: Fields, flag: string): readonly string[] => {
  const given = options[flag];
  return Array.isArray(given) ? given.map(String) : [];
};

/** Nothing of the text is repeated: what stands there in the place of a path may be the secret itself. */
function pairOf(flag: string, text: string): readonly [name: string, from: string] {
  const [, name, from] = /^([\w-]+)=(.+)$/s.exec(text) ?? [];
  if (name !== undefined && from !== undefined) return [name, from];
  throw usage(
    'invalid_value',
    `--${flag}: that is no pair of a name and where its value is.`,
    {
      [valueFields.file]: 'Write --value-file api_key=/path/to/file',
      [valueFields.env]: 'Write --value-env api_key=OPENAI_API_KEY',
    }[flag],
  );
}
