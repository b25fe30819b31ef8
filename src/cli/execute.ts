import type { Command } from 'commander';
import { changeOptions } from '../kernel/change-options.ts';
import { type CommandLine, type Invoke, isReading } from '../kernel/operation.ts';
import { GatewayError } from '../kernel/errors.ts';
import { memberAt } from './answer.ts';
import type { Commandable } from './commandable.ts';
import { asDryRun, rehearsed } from './dry-run.ts';
import { maskSecret } from '../kernel/mask.ts';
import { ask, needsAnswer, stakes } from './confirm.ts';
import type { Connection } from './connection.ts';
import { exact } from './cell.ts';
import { type Fields, idempotencyKeyOf, keyField, readInput, valueOf } from './input.ts';
import { isField, keyStdinField, type Parameters, parametersOf } from './parameters.ts';
import { type Parameter, placeholderOf } from './parameter.ts';
import { choosePresentation, isForEyes, isSecretAlone, type Presentation, suited } from './presentation.ts';
import { type Prompt, promptOn } from './prompt.ts';
import { type Extent, extentOf, gathered, isStreamed, walk } from './pages.ts';
import { countLine, render, type Rendering } from './render.ts';
import type { Session } from './session.ts';
import { commandLine } from './shell-words.ts';
import { readValues } from './secret-values.ts';
import { requireWritten } from './written.ts';
import { suggesting } from './suggesting.ts';
import { usage } from './usage.ts';
import { visible } from './visible.ts';

/** Does what a parsed command asks for. */
export async function execute<Services>(
  operation: Commandable<Services>,
  command: Command,
  session: Session<Services>,
): Promise<void> {
  const { io, flags, argv } = session;
  const isDryRun = command.opts<Fields>()['dry_run'] === true;
  const chosen = choosePresentation(isDryRun ? asDryRun(operation, flags) : operation, flags, io);
  const parameters = parametersOf(operation);
  const prompt = session.canAsk ? promptOn(io) : undefined;
  const { input, names } = await gather({ operation, command, parameters, session, prompt });
  refuseNoChange(operation, parameters, input);
  const presentation = isDryRun ? chosen : suited(operation, chosen, input);
  const extent = extentOf(operation, command, input);
  const isTerminal = io.stdinIsTTY && io.stderrIsTTY;
  const question = { operation, flags, argv, prompt, names, isTerminal };
  const isOpen = !isDryRun && needsAnswer(question);
  const idempotencyKey = await idempotencyKeyOf(command, session.sources);

  await using opened = await session.connect({
    command: operation.command.join(' '),
    idempotencyKey,
    onReplay: () => flags.quiet || io.err('It was done the first time with this idempotency key, and not again now.\n'),
  });
  const connection = { ...opened, invoke: suggesting(opened.invoke, session.whole) };
  const isChange = !isReading(operation);
  if (flags.verbose || (isChange && io.stderrIsTTY && !flags.quiet))
    io.err(`${session.ink.dim(connection.describe)}\n`);
  const { operations } = session;
  if (isOpen) {
    const told = await stakes({ operation, operations, invoke: connection.invoke, input });
    io.err(told.join(''));
    await ask(question);
  }
  const forEyes = isForEyes(presentation.format) && !presentation.isQuiet ? operation.cli.forEyes?.input : undefined;
  const sent = { ...forEyes, ...input, ...extent.input, ...operation.cli.fixed };
  const showing = { operation, presentation, connection, session, input, extent };
  // Awaited here: the connection is let go when this function returns.
  if (extent.isWhole) return await showWhole(showing, walk(connection.invoke, operation, sent));
  if (isDryRun) return showDryRun({ ...showing, answer: await connection.invoke(operation, sent) });
  await show({ ...showing, answer: await connection.invoke(operation, sent) });
}

/** Page after page as they come where the format allows it, so that no list has to fit into memory. */
async function showWhole<Services>(showing: Showing<Services>, pages: ReturnType<typeof walk>): Promise<void> {
  const { operation, presentation, session } = showing;
  const { io } = session;
  if (!isStreamed(presentation)) return show({ ...showing, answer: await gathered(operation, pages) });
  let amount = 0;
  for await (const answer of pages) {
    amount += await render({ ...renderingOf(showing, answer), part: amount === 0 ? 'first' : 'later' });
    await io.flushed();
    if (io.isPipeClosed()) return;
  }
  countLine(renderingOf(showing, {}), amount);
}

/** Mostly a mistyped line: the object is named, and nothing of it. */
function refuseNoChange({ command, cli }: Commandable<never>, { flags }: Parameters, input: Fields): void {
  if (command.at(-1) !== 'update' || Object.keys(input).some((field) => !isAbout(field, cli))) return;
  const names = flags.filter(({ field }) => isField(field) && !isAbout(field, cli)).map(({ name }) => `--${name}`);
  throw usage(
    'nothing_to_change',
    `${command.join(' ')}: nothing to change was given.`,
    `Name at least one of ${names.join(' ')}`,
  );
}

/** Whether a field says which object is meant, or how; and not what it should become. */
const isAbout = (field: string, { args }: CommandLine): boolean =>
  args?.includes(field) === true || Object.hasOwn(changeOptions, field);

interface Gathering<Services> {
  readonly operation: Commandable<Services>;
  readonly command: Command;
  readonly parameters: Parameters;
  readonly session: Session<Services>;
  readonly prompt: Prompt | undefined;
}

interface Gathered {
  readonly input: Fields;
  /** The objects the command is about, as a person would name them. */
  readonly names: readonly string[];
}

/** What the line says, what is asked for on top of it, and a secret where one names the object. */
async function gather<Services>(gathering: Gathering<Services>): Promise<Gathered> {
  const { operation, command, parameters, session, prompt } = gathering;
  const { keyStdin } = operation.cli;
  const input = await readInput(command, parameters, session.sources, session.flags);
  Object.assign(input, await readValues(operation, command.opts<Fields>(), session, input));
  if (keyStdin !== undefined && command.opts<Fields>()[keyStdinField] === true) {
    if (input[keyStdin] !== undefined) {
      throw usage(
        'ambiguous_key',
        '--key-stdin and the argument both name a key; which one is meant?',
        'Leave one of them out.',
      );
    }
    const secret = await readSecret(session, prompt);
    return {
      input: { ...input, ...(await keyField(keyStdin, parameters.args, secret)) },
      names: [maskSecret(secret.trim())],
    };
  }
  const isOwn = operation.cli.isOwnWithout === true && (await hasKey(session));
  // What is looked for first has it already where it is there.
  const needs = command.opts<Fields>()['if_not_exists'] === true ? undefined : operation.cli.needs;
  const isNeeded = (field: string): boolean => needs?.[field]?.every((other) => input[other] === undefined) ?? false;
  const missing = [...parameters.args, ...parameters.flags].filter(
    ({ field, isRequired }) =>
      input[field] === undefined &&
      (isRequired ||
        isNeeded(field) ||
        (!isOwn && field === keyStdin && parameters.args.some((each) => each.field === field))),
  );
  Object.assign(input, await askFor(missing, gathering));
  const names = parameters.args
    .flatMap(({ field }) => input[field])
    .filter((each) => each !== undefined)
    .map(exact);
  return { input, names };
}

/** Whether the command goes to a gateway with a key, which may be a virtual one. */
async function hasKey<Services>({ target }: Session<Services>): Promise<boolean> {
  const chosen = await target();
  return chosen.mode === 'server' && chosen.key !== undefined;
}

async function readSecret<Services>({ io, sources }: Session<Services>, prompt: Prompt | undefined): Promise<string> {
  if (prompt) return prompt.secret('Paste the key, then Enter (hidden):');
  if (io.stdinIsTTY)
    throw usage('missing_argument', '--key-stdin reads the key from standard input, and that is a terminal.');
  return sources.stdin('--key-stdin');
}

/** Asks a person for what is missing, and ends with the line that would not have needed to ask. */
async function askFor<Services>(missing: readonly Parameter[], gathering: Gathering<Services>): Promise<Fields> {
  if (missing.length === 0) return {};
  const { prompt, session } = gathering;
  if (!prompt) throw missingInput(missing, gathering);
  const fields: Fields = {};
  const words: string[] = [];
  for (const parameter of missing) {
    const text = await askOne(parameter, isPositional(parameter, gathering), prompt);
    words.push(...(isPositional(parameter, gathering) ? [text] : [`--${parameter.name}`, text]));
    Object.assign(fields, await valueOf(parameter, `--${parameter.name}`, [text], session.sources));
  }
  session.io.err(`The same without questions: ${visible(commandLine([...session.argv, ...words]))}\n`);
  return fields;
}

const isPositional = <Services>({ field }: Parameter, { parameters }: Gathering<Services>): boolean =>
  parameters.args.some((each) => each.field === field);

async function askOne(parameter: Parameter, isByPosition: boolean, prompt: Prompt): Promise<string> {
  const answeredBy = isByPosition ? `<${parameter.name}>` : `--${parameter.name}`;
  const message = `${parameter.description || parameter.name} (${answeredBy}):`;
  const choices = parameter.shape.enum;
  if (choices) return prompt.choice(message, choices);
  if (parameter.shape.type === 'boolean') return String(await prompt.confirm(message));
  return prompt.text(message, (text) => (text.trim() === '' ? 'It must not be empty' : true));
}

function missingInput<Services>(
  missing: readonly Parameter[],
  { operation, session, parameters }: Gathering<Services>,
) {
  const args = missing.filter((each) => parameters.args.includes(each));
  const flags = missing.filter((each) => !parameters.args.includes(each));
  const named = [...args.map(({ name }) => `<${name}>`), ...flags.map(({ name }) => `--${name}`)];
  const words = [
    ...args.map(({ name }) => `<${name}>`),
    ...flags.flatMap((each) => [`--${each.name}`, `<${placeholderOf(each)}>`]),
  ];
  const stdin = operation.cli.keyStdin && args.length > 0 ? '\nOr name the key by its secret: --key-stdin' : '';
  return usage(
    'missing_argument',
    `${operation.command.join(' ')} needs ${named.join(', ')}.`,
    `Run: ${commandLine([...session.argv, ...words])}${stdin}`,
  );
}

interface Showing<Services> {
  readonly operation: Commandable<Services>;
  readonly presentation: Presentation;
  readonly connection: Pick<Connection<Services>, 'invoke' | 'baseUrl'>;
  readonly session: Session<Services>;
  readonly input: Fields;
  readonly extent: Extent;
}

type Answer = Awaited<ReturnType<Invoke<never>>>;

const renderingOf = <Services>(
  { operation, presentation, connection, session: { io, outInk }, extent }: Showing<Services>,
  answer: Answer,
): Rendering => ({ operation, presentation, answer, io, out: outInk, baseUrl: connection.baseUrl, extent });

/** A list of what would be changed, and a sentence that nothing was. */
async function showDryRun<Services>({
  answer,
  ...showing
}: Showing<Services> & { readonly answer: Answer }): Promise<void> {
  const { io, flags } = showing.session;
  const { shown, sentence } = rehearsed(answer, flags);
  await render(renderingOf({ ...showing, operation: asDryRun(showing.operation, flags) }, shown));
  if (!flags.quiet) io.err(`${sentence}\n`);
}

/** After a change: one sentence to a person, and then what there is to print. */
async function show<Services>({ answer, ...showing }: Showing<Services> & { readonly answer: Answer }): Promise<void> {
  const { operation, presentation, session, input } = showing;
  const { io, flags, ink } = session;
  const { done, secret } = operation.cli;
  const isChange = !isReading(operation);
  const isThere = answer['created'] === false && input['if_not_exists'] === true;
  if (isThere) sayThere(operation, session);
  else if (done && !flags.quiet) io.err(`${ink.green(ink.done)} ${visible(done(answer, input))}\n`);

  const saidItAll = done !== undefined && isChange && secret === undefined;
  if (saidItAll && io.stdoutIsTTY && !presentation.isChosen && !flags.quiet) return;
  // An id or an empty value in its place would be taken for the secret.
  if (isThere && secret !== undefined && isSecretAlone(presentation)) return;
  await render(renderingOf(showing, answer));
  await requireWritten(io, isChange && !isThere ? lossOf(operation, answer) : undefined);
  const no = operation.cli.no?.(answer);
  if (no !== undefined) throw new GatewayError('no', 'answer_is_no', no);
}

/** Also under -q where a secret was hoped for: nothing else tells why there is none. */
function sayThere<Services>({ command, cli }: Commandable<Services>, { io, flags }: Session<Services>): void {
  if (flags.quiet && cli.secret === undefined) return;
  const noun = command.slice(0, -1).join(' ');
  const secret = cli.secret === undefined ? '' : ' Its secret cannot be shown again.';
  io.err(`The ${noun} is there already, with these values; nothing was changed.${secret}\n`);
}

/** What to do when a change was made and its answer is lost. */
function lossOf({ command, cli }: Commandable<never>, answer: Answer): string {
  if (cli.secret === undefined) return 'What was asked for was done all the same.';
  const noun = command.slice(0, -1).join(' ');
  const id = visible(exact(memberAt(answer, cli.id ?? 'id')));
  return [
    `The ${noun} was made all the same, and its secret is lost. Replace it, or delete it:`,
    `gatewayctl ${noun} rotate ${id}`,
    `gatewayctl ${noun} delete ${id}`,
  ].join('\n');
}
