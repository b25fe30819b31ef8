import type * as prompts from '@inquirer/prompts';
import type { Io } from './io.ts';
import { declined, Interrupted } from './usage.ts';

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
  const ask = <Answer>(question: Question<Answer>) => askOn(io, question);
  return {
    text: (message, validate) => ask(({ input }, context) => input({ message, validate }, context)),
    choice: (message, choices) => ask(({ select }, context) => select({ message, choices }, context)),
    // What was typed can be made visible with a key unless told otherwise, and a screen may be shared.
    secret: (message) => ask(({ password }, context) => password({ message, mask: false, toggleMask: false }, context)),
    confirm: (message) => ask(({ confirm }, context) => confirm({ message, default: false }, context)),
  };
}

type Library = typeof prompts;

interface Context {
  readonly input: Io['stdin'];
  readonly output: Io['stderr'];
  readonly signal: AbortSignal;
}

type Question<Answer> = (library: Library, context: Context) => Promise<Answer>;

/**
 * Ctrl-D closes the library's reader, and its question then never settles: Node ends the process with a warning. All
 * that can be seen of it is that the input is paused; after an answer it is too, and then the abort comes too late.
 */
async function askOn<Answer>({ stdin: input, stderr: output }: Io, question: Question<Answer>): Promise<Answer> {
  const library = await import('@inquirer/prompts');
  const closed = new AbortController();
  const close = () => void setImmediate(() => closed.abort());
  input.on('pause', close).on('end', close);
  try {
    return await question(library, { input, output, signal: closed.signal });
  } catch (cause) {
    if (cause instanceof Error && cause.name === 'AbortPromptError') throw declined(cause);
    if (cause instanceof Error && cause.name === 'ExitPromptError') throw new Interrupted('interrupted', { cause });
    throw cause;
  } finally {
    input.off('pause', close).off('end', close);
  }
}
