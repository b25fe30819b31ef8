import type { Argument, Command, Option } from 'commander';
import {
  bold,
  entry,
  fill,
  head,
  italic,
  paragraphs,
  reference,
  references,
  section,
  subsection,
  verbatim,
} from './roff.ts';

/** What a page says of a command beyond what its tree does. */
export interface AboutCommand {
  readonly examples: readonly (readonly [title: string, line: string])[];
  /** Exit statuses that mean more than the common ones. */
  readonly exits?: readonly (readonly [status: number, meaning: string])[] | undefined;
  /** The heading under which gatewayctl(1) lists it. */
  readonly group?: string | undefined;
}

type Row = readonly [term: string, text: string];

/** A page about no single command: `gatewayctl help exit-codes` and gatewayctl-exit-codes(7). */
export interface Topic {
  readonly name: string;
  readonly summary: string;
  /** Paragraphs in order; a list stands where it is. */
  readonly body: readonly (string | readonly Row[])[];
}

export interface Manual {
  readonly version: string;
  /** YYYY-MM-DD, shown at the foot of each page. */
  readonly date: string;
  readonly topics: readonly Topic[];
  /** The common exit statuses. */
  readonly exits: readonly Row[];
  /** The commands under another that are shown, in order. */
  readonly commands: (command: Command) => readonly Command[];
  readonly about: (command: Command) => AboutCommand;
  /** What is known of a flag or an argument beside its description: its default, its variable. */
  readonly notes: (target: Option | Argument) => readonly string[];
}

/** The manual pages by file name: one for each command, as git-commit(1) is for `git commit`, and one for each topic. */
export function manPages(program: Command, manual: Manual): ReadonlyMap<string, string> {
  const pages = new Map<string, string>();
  const add = (file: string, lines: readonly string[]) => pages.set(file, `${lines.join('\n')}\n`);
  const addCommand = (command: Command) => {
    add(`${pageName(command)}.1`, commandPage(command, manual));
    manual.commands(command).forEach(addCommand);
  };
  addCommand(program);
  for (const topic of manual.topics) add(`${topicName(topic)}.7`, topicPage(topic, manual));
  return pages;
}

const wordsOf = (command: Command): readonly string[] =>
  command.parent ? [...wordsOf(command.parent), command.name()] : [command.name()];

const pageName = (command: Command): string => wordsOf(command).join('-');

const topicName = ({ name }: Topic): string => `gatewayctl-${name}`;

function topicPage(topic: Topic, { version, date, topics }: Manual): readonly string[] {
  const others = topics.filter((each) => each !== topic).map((each) => reference(topicName(each), 7));
  return [
    ...head({ page: topicName(topic), chapter: 7, date, version, summary: topic.summary }),
    ...section('DESCRIPTION', topic.body.flatMap(topicPart)),
    ...section('SEE ALSO', references([reference('gatewayctl', 1), ...others])),
  ];
}

const topicPart = (part: Topic['body'][number], index: number): readonly string[] => {
  if (typeof part !== 'string') return part.flatMap(([name, text]) => entry(bold(name), text));
  return index === 0 ? paragraphs(part) : ['.PP', ...paragraphs(part)];
};

function commandPage(command: Command, manual: Manual): readonly string[] {
  const { version, date } = manual;
  const { examples } = manual.about(command);
  const summary = command.summary() || command.description();
  return [
    ...head({ page: pageName(command), chapter: 1, date, version, summary }),
    ...section('SYNOPSIS', [synopsis(command)]),
    ...section('DESCRIPTION', paragraphs(command.description() || `${summary}.`)),
    ...section('COMMANDS', commands(command, manual)),
    ...section('EXAMPLES', exampleLines(examples)),
    ...section('ARGUMENTS', argumentLines(command, manual)),
    ...section('OPTIONS', options(command, manual)),
    ...section('EXIT STATUS', exits(command, manual)),
    ...section('SEE ALSO', references(related(command, manual))),
  ];
}

function synopsis(command: Command): string {
  const operands = command.registeredArguments.map((argument) => {
    const name = italic(argument.name()) + (argument.variadic ? '...' : '');
    return argument.required ? name : `[${name}]`;
  });
  const verb = command.commands.length > 0 ? [italic('command')] : [];
  return [bold(wordsOf(command).join(' ')), ...verb, ...operands, `[${italic('flags')}]`].join(' ');
}

function commands(command: Command, manual: Manual): readonly string[] {
  const shown = manual.commands(command);
  const groups = Map.groupBy(shown, (each) => (command.parent ? undefined : manual.about(each).group));
  return [...groups].flatMap(([group, members]) => {
    const entries = members.flatMap((each) => entry(reference(pageName(each), 1), each.summary()));
    return group === undefined ? entries : subsection(group, entries);
  });
}

const exampleLines = (examples: AboutCommand['examples']): readonly string[] =>
  examples.flatMap(([title, line], index) => [
    ...(index > 0 ? ['.PP'] : []),
    ...fill(`${title}:`),
    ...verbatim(line.split('\n')),
  ]);

const argumentLines = (command: Command, { notes }: Manual): readonly string[] =>
  command.registeredArguments
    .filter(({ description }) => description)
    .flatMap((argument) => entry(italic(argument.name()), withNotes(argument.description, notes(argument))));

/** A page lists its own flags; those every command takes are in gatewayctl(1), once. */
function options(command: Command, { notes }: Manual): readonly string[] {
  const visible = command.createHelp().visibleOptions(command);
  const own = visible.filter((option) => !isNegation(option, visible) && (!command.parent || option.long !== '--help'));
  const lines = own.flatMap((option) => entry(term(option, visible), withNotes(option.description, notes(option))));
  if (!command.parent) return lines;
  const rest = `${own.length > 0 ? 'The' : 'It takes the'} flags every command takes${own.length > 0 ? ' are' : ','}`;
  const more = `${rest} described in ${reference('gatewayctl', 1)}.`;
  return lines.length > 0 ? [...lines, '.PP', more] : [more];
}

const withNotes = (text: string, notes: readonly string[]): string =>
  notes.length > 0 ? `${text} (${notes.join('; ')})` : text;

/** `--no-x` of a flag that is there too: two options to commander, one to a reader. */
const isNegation = (option: Option, among: readonly Option[]): boolean =>
  option.negate && among.some(({ long, negate }) => !negate && long === option.long?.replace('--no-', '--'));

function term(option: Option, among: readonly Option[]): string {
  const long = option.long ?? '';
  const canNegate = among.some((each) => each.negate && each.long === long.replace('--', '--no-'));
  const names = [option.short, canNegate ? long.replace('--', '--[no-]') : long];
  const flags = names.flatMap((name) => (name ? bold(name) : [])).join(', ');
  const value = /[<[](.*)[>\]]$/.exec(option.flags)?.[1];
  return value === undefined ? flags : `${flags} ${italic(value)}`;
}

function exits(command: Command, manual: Manual): readonly string[] {
  const { exits: own = [] } = manual.about(command);
  const meanings = new Map([...manual.exits, ...own.map(([status, meaning]): Row => [String(status), meaning])]);
  const all = [...meanings].toSorted(([a], [b]) => Number(a) - Number(b));
  return all.flatMap(([status, meaning]) => entry(bold(status), meaning));
}

/** The command above, those below or beside, and where exit statuses are explained. */
function related(command: Command, manual: Manual): readonly string[] {
  const { parent } = command;
  const topics = parent ? manual.topics.filter(({ name }) => name === 'exit-codes') : manual.topics;
  const near = parent ? [parent, ...manual.commands(command.commands.length > 0 ? command : parent)] : [];
  return [
    ...near.filter((each) => each !== command).map((each) => reference(pageName(each), 1)),
    ...topics.map((topic) => reference(topicName(topic), 7)),
  ];
}
