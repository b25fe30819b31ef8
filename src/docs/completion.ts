import { Argument, type Command, type Option } from 'commander';
import type { Completes } from '../kernel/operation.ts';

/** Something that may stand where the cursor is. */
export interface Candidate {
  readonly value: string;
  readonly description?: string | undefined;
}

/** What was typed so far, for whoever looks names up: `--server` says where to look. */
export interface LookupRequest {
  readonly prefix: string;
  /** The flags given before the cursor, by commander's attribute name. A flag without a value is `true`. */
  readonly given: Readonly<Record<string, string | true>>;
  /** Aborted when the answer would come too late to be of use. */
  readonly signal: AbortSignal;
}

/** What the command tree does not say by itself. */
export interface Lookup {
  /** What a flag's value or an argument stands for, and whether it is a list with commas between. */
  readonly describe: (target: Option | Argument) => {
    readonly completes?: Completes | undefined;
    readonly isList?: boolean;
  };
  /** Names of objects that exist. May fail or hang: then nothing is offered. */
  readonly names: (what: Exclude<Completes, 'file'>, request: LookupRequest) => Promise<readonly Candidate[]>;
}

/** What to offer. `files` leaves it to the shell, which knows its user's files better than we do. */
export type Completion =
  | { readonly kind: 'values'; readonly candidates: readonly Candidate[] }
  | { readonly kind: 'files' };

/** After this long at TAB people think the terminal hangs, and press it again. */
const patienceMs = 800;

/** Commands whose arguments are the words of another: `help key generate`. */
const explaining: ReadonlySet<string> = new Set(['help', 'man']);

const nothing: Completion = { kind: 'values', candidates: [] };

const offer = (candidates: readonly Candidate[], prefix: string): Completion => ({
  kind: 'values',
  candidates: candidates.filter(({ value }) => value.startsWith(prefix)),
});

/** Where in the tree the cursor stands, read from the words before it. */
interface Position {
  readonly command: Command;
  readonly operands: readonly string[];
  readonly given: Record<string, string | true>;
  /** The flag whose value the cursor is on. */
  readonly pending: Option | undefined;
  /** Whether `--` came before: no more flags. */
  readonly isOver: boolean;
}

/**
 * What may stand at the end of a command line that began with the program's name. The last of `words` is what was typed
 * of the word under the cursor. Reads the tree through commander's public interface, and runs nothing but the lookup.
 */
export async function complete(program: Command, words: readonly string[], lookup: Lookup): Promise<Completion> {
  const word = words.at(-1) ?? '';
  const position = locate(program, words.slice(0, -1));
  const { command, operands, pending, isOver } = position;
  if (pending) return valuesOf(pending, word, position, lookup);
  if (!isOver && word.startsWith('-')) return flags(word, position, lookup);
  if (operands.length === 0 && !isOver && command.commands.length > 0) return subcommands(command, word);
  if (command.parent === program && explaining.has(command.name())) {
    return subcommands(locate(program, operands).command, word);
  }

  const { registeredArguments: accepted } = command;
  const argument = accepted[operands.length] ?? accepted.at(-1);
  if (!argument || (operands.length >= accepted.length && !argument.variadic)) return nothing;
  return valuesOf(argument, word, position, lookup);
}

function locate(program: Command, words: readonly string[]): Position {
  let command = program;
  let pending: Option | undefined;
  let isOver = false;
  const operands: string[] = [];
  const given: Position['given'] = {};

  for (const word of words) {
    if (pending) {
      given[pending.attributeName()] = word;
      pending = undefined;
    } else if (isOver || word === '-' || !word.startsWith('-')) {
      const next = isOver || operands.length > 0 ? undefined : subcommand(command, word);
      if (next) command = next;
      else operands.push(word);
    } else if (word === '--') isOver = true;
    else pending = readFlags(command, word, given);
  }
  return { command, operands, given, pending, isOver };
}

const subcommand = (command: Command, word: string): Command | undefined =>
  command.commands.find((each) => each.name() === word || each.aliases().includes(word));

const takesValue = (option: Option): boolean => option.required || option.optional;

/** Notes the flags in one word, `--limit=5`, `-n5` or `-qy`, and says which one still waits for its value. */
function readFlags(command: Command, word: string, given: Position['given']): Option | undefined {
  for (const { option, value } of flagsIn(command, word)) {
    if (option.required && value === undefined) return option;
    given[option.attributeName()] = value ?? true;
  }
  return undefined;
}

interface GivenFlag {
  readonly option: Option;
  readonly value: string | undefined;
  /** What stands before the value in the word: `--limit=` or `-qn`. */
  readonly before: string;
}

function flagsIn(command: Command, word: string): readonly GivenFlag[] {
  const options = knownOptions(command);
  if (word.startsWith('--')) {
    const [name = '', value] = word.split(/=(.*)/s);
    const option = options.find(({ long }) => long === name);
    return option ? [{ option, value, before: `${name}=` }] : [];
  }
  const found: GivenFlag[] = [];
  for (let index = 1; index < word.length; index++) {
    const option = options.find(({ short }) => short === `-${word.charAt(index)}`);
    if (!option) return found;
    const value = takesValue(option) ? word.slice(index + 1) || undefined : undefined;
    found.push({ option, value, before: word.slice(0, index + 1) });
    if (takesValue(option)) return found;
  }
  return found;
}

/** A command and those it stands in: global flags may follow anywhere. */
function lineage(command: Command): readonly Command[] {
  return command.parent ? [command, ...lineage(command.parent)] : [command];
}

/** Hidden flags too: their values must not be taken for operands. */
const knownOptions = (command: Command): readonly Option[] => lineage(command).flatMap(({ options }) => options);

function visibleOptions(command: Command): readonly Option[] {
  const byName = new Map<string, Option>();
  for (const each of lineage(command)) {
    for (const option of each.createHelp().visibleOptions(each)) {
      if (option.long && !byName.has(option.long)) byName.set(option.long, option);
    }
  }
  return [...byName.values()];
}

async function flags(word: string, position: Position, lookup: Lookup): Promise<Completion> {
  const last = flagsIn(position.command, word).at(-1);
  if (!last || last.value === undefined || !takesValue(last.option)) {
    const names = visibleOptions(position.command).map(({ long, description }) => ({ value: long ?? '', description }));
    return offer(names, word);
  }
  const completion = await valuesOf(last.option, last.value, position, lookup);
  return completion.kind === 'files' ? completion : prepend(last.before, completion.candidates);
}

const prepend = (text: string, candidates: readonly Candidate[]): Completion => ({
  kind: 'values',
  candidates: candidates.map((each) => ({ ...each, value: text + each.value })),
});

/** An alias is offered only to somebody who is typing it: two names for one thing are one too many to choose from. */
function subcommands(command: Command, word: string): Completion {
  const visible = command.createHelp().visibleCommands(command);
  const named = (spellings: (each: Command) => readonly string[]): readonly Candidate[] =>
    visible.flatMap((each) =>
      spellings(each)
        .filter((name) => name.startsWith(word))
        .map((value) => ({ value, description: each.summary() || each.description() })),
    );
  const candidates = named((each) => [each.name()]);
  const isAlias = candidates.length === 0 && word !== '';
  return { kind: 'values', candidates: isAlias ? named((each) => each.aliases()) : candidates };
}

async function valuesOf(target: Option | Argument, word: string, at: Position, lookup: Lookup): Promise<Completion> {
  const { completes, isList = false } = lookup.describe(target);
  if (completes === 'file') return { kind: 'files' };

  const last = isList && !(target instanceof Argument) ? word.lastIndexOf(',') + 1 : 0;
  const prefix = word.slice(last);
  const taken = target instanceof Argument ? at.operands : word.slice(0, last).split(',');
  const known =
    target.argChoices?.map((value) => ({ value })) ?? (completes ? await lookUp(completes, prefix, at, lookup) : []);
  const fresh = known.filter(({ value }) => value.startsWith(prefix) && !taken.includes(value));
  return prepend(word.slice(0, last), fresh);
}

async function lookUp(
  what: Exclude<Completes, 'file'>,
  prefix: string,
  { given }: Position,
  lookup: Lookup,
): Promise<readonly Candidate[]> {
  const late = new AbortController();
  const { promise: tooLate, resolve } = Promise.withResolvers<readonly Candidate[]>();
  const timer = setTimeout(() => {
    resolve([]);
    late.abort();
  }, patienceMs);
  try {
    return await Promise.race([lookup.names(what, { prefix, given, signal: late.signal }), tooLate]);
  } catch {
    // A message in the middle of a half-typed line is worse than no suggestion.
    return [];
  } finally {
    clearTimeout(timer);
  }
}
