import type { LocalCommand } from '../local-command.ts';
import { usage } from '../usage.ts';

const shells = ['bash', 'zsh', 'fish'] as const;

/** What every build of the program has: it is about the program itself, and works without a gateway. */
export const builtInCommands: readonly LocalCommand[] = [
  {
    path: ['completion'],
    group: 'This tool',
    summary: 'Print the completion script of a shell',
    description: 'Completes commands, flags and values, and the names of keys, teams, users and models that exist.',
    args: [{ name: 'shell', description: 'The shell to print it for', choices: shells, isRequired: true }],
    examples: [
      ['In this shell, now', 'eval "$(gatewayctl completion bash)"'],
      ['For good', 'gatewayctl completion fish > ~/.config/fish/completions/gatewayctl.fish'],
    ],
    run: async (context) => (await import('./completion.ts')).printCompletion(context),
  },
  {
    path: ['version'],
    group: 'This tool',
    summary: 'Print the version, and where the gateway is looked for',
    examples: [['For programs', 'gatewayctl version --json']],
    run: async (context) => (await import('./version.ts')).printVersion(context),
  },
  {
    path: ['help'],
    group: 'This tool',
    summary: 'Explain a command or a topic',
    description: 'Topics: exit-codes, environment, formatting, flags, scripting, selectors, units.',
    args: [{ name: 'command', description: 'The words of a command, or a topic', type: 'list' }],
    examples: [
      ['A command', 'gatewayctl help key generate'],
      ['A topic', 'gatewayctl help exit-codes'],
      ['The whole command tree, for programs', 'gatewayctl help --json'],
    ],
    run: async (context) => (await import('./help.ts')).printHelp(context),
  },
  {
    path: ['__complete'],
    isHidden: true,
    isRaw: true,
    summary: 'Answer a shell that asks for completions',
    examples: [],
    run: async (context) => (await import('./completion.ts')).answerCompletion(context),
  },
];

/** `completion` takes exactly these. */
export type Shell = (typeof shells)[number];

export function shellOf(name: string | undefined): Shell {
  const shell = shells.find((each) => each === name);
  if (shell) return shell;
  throw usage('invalid_value', `"${name ?? ''}" is none of ${shells.join(', ')}.`);
}
