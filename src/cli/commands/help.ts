import type { Command, Option } from 'commander';
import { table, wrap } from '../help.ts';
import type { LocalContext } from '../local-command.ts';
import { parameterOf, placeholderOf } from '../parameter.ts';
import { unknownCommand } from '../parse-error.ts';
import { type Topic, topics } from '../topics.ts';
import { aboutOf, locate, pathOf, shownCommands } from '../tree.ts';

/** `help`, `help key generate`, `help exit-codes`, `help --json`. */
export function printHelp(context: LocalContext): void {
  const { io, args, format, global } = context;
  const program = context.program();
  const topic = args.length === 1 ? topics.find(({ name }) => name === args[0]) : undefined;
  if (topic) return io.out(topicText(topic, Math.min(io.columns, 100)));

  const { command, rest } = locate(program, args);
  const [unknown] = rest;
  if (unknown !== undefined)
    throw unknownCommand(command, unknown, command.parent ? [] : topics.map(({ name }) => name));
  if (global.output !== undefined && format === 'json') return io.out(`${JSON.stringify(treeOf(command), null, 2)}\n`);
  command.outputHelp();
}

function topicText({ summary, body }: Topic, width: number): string {
  const parts = body.map((part) => (typeof part === 'string' ? wrap(part, width) : table(part, width)).join('\n'));
  return `${[summary, ...parts].join('\n\n')}\n`;
}

/** The whole command tree as data, for wrappers and documents: what the generators read as well. */
function treeOf(command: Command): object {
  const about = aboutOf(command);
  const operation = about?.operation;
  return {
    command: ['gatewayctl', ...pathOf(command)].join(' '),
    aliases: command.aliases(),
    summary: command.summary(),
    description: command.description(),
    ...(operation ? { route: operation.route, columns: operation.cli.columns, confirm: operation.cli.confirm } : {}),
    examples: (about?.examples ?? []).map(([title, line]) => ({ title, line })),
    arguments: command.registeredArguments.map((argument) => ({
      name: argument.name(),
      description: argument.description,
      required: parameterOf(argument)?.isRequired ?? argument.required,
      list: argument.variadic,
      choices: argument.argChoices,
    })),
    flags: command.options.filter(({ hidden }) => !hidden).map(flagOf),
    exits: about?.local?.exits?.map(([status, meaning]) => ({ status, meaning })),
    commands: shownCommands(command).map(treeOf),
  };
}

function flagOf(option: Option): object {
  const parameter = parameterOf(option);
  return {
    name: option.long,
    short: option.short,
    field: option.attributeName(),
    description: option.description,
    value: option.required && parameter ? placeholderOf(parameter) : undefined,
    type: parameter?.shape.type,
    format: parameter?.shape.format,
    nullable: parameter?.shape.nullable,
    required: parameter?.isRequired ?? false,
    choices: option.argChoices,
    env: parameter?.env,
  };
}
