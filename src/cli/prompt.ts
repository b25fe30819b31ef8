import type * as prompts from '@inquirer/prompts';
import type { Io } from './io.ts';
import { Interrupted } from './usage.ts';

/** A question to a person. Every one has a flag that answers it, named in the message. */
export interface Prompt {
  readonly text: (message: string, check: (text: string) => true | string) => Promise<string>;
  readonly choice: (message: string, choices: readonly string[]) => Promise<string>;
  readonly secret: (message: string) => Promise<string>;
  readonly confirm: (message: string) => Promise<boolean>;
}

/**
 * Whether anybody is there to answer. A pipe is not: `echo y |` would answer a question nobody has read. Programs that
 * drive others often give them a terminal, hence the switch.
 */
export const canAsk = (io: Io, flags: { readonly noInput: boolean }): boolean =>
  io.stdinIsTTY && io.stderrIsTTY && !flags.noInput;

/**
 * Asks on the terminal. The library is loaded with the first question: it costs 50 ms, and most commands ask nothing.
 * It draws on stderr, so that a question cannot end up in somebody's pipe.
 */
export function promptOn(io: Io): Prompt {
  const context = { input: io.stdin, output: io.stderr };
  return {
    text: (message, validate) => ask(({ input }) => input({ message, validate }, context)),
    choice: (message, choices) => ask(({ select }) => select({ message, choices }, context)),
    // What was typed can be made visible with a key unless told otherwise, and a screen may be shared.
    secret: (message) => ask(({ password }) => password({ message, mask: false, toggleMask: false }, context)),
    confirm: (message) => ask(({ confirm }) => confirm({ message, default: false }, context)),
  };
}

type Library = typeof prompts;

async function ask<Answer>(question: (library: Library) => Promise<Answer>): Promise<Answer> {
  try {
    return await question(await import('@inquirer/prompts'));
  } catch (cause) {
    if (cause instanceof Error && cause.name === 'ExitPromptError') throw new Interrupted('interrupted', { cause });
    throw cause;
  }
}
