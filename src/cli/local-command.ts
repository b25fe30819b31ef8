import type { Command } from 'commander';
import type { Completes } from '../kernel/operation.ts';
import type { Commandable } from './commandable.ts';
import type { Daemon } from './connection.ts';
import type { GlobalFlags } from './globals.ts';
import type { Ink } from './colour.ts';
import type { Io } from './io.ts';
import type { Group } from './nouns.ts';
import type { LocalType } from './parameters.ts';
import type { Sources } from './sources.ts';
import type { Target } from './target.ts';

interface LocalParameter {
  /** Without dashes, as it is typed; also the name its value has in `options`. */
  readonly name: string;
  readonly description: string;
  /** `text` when nothing is said. A boolean is false until it is given; a `list` is repeatable and comma-separated. */
  readonly type?: LocalType;
  readonly choices?: readonly string[];
  readonly isRequired?: boolean;
  readonly completes?: Completes;
  readonly isHidden?: boolean;
}

export type LocalArgument = LocalParameter;

export interface LocalOption extends LocalParameter {
  readonly placeholder?: string;
  /** The environment variable that says the same. Only shown: the command itself reads it. */
  readonly env?: string;
}

/**
 * A command that is not an operation: it starts the daemon, prints a completion, migrates the database. Data and one
 * function; what the function needs it imports when it runs, so that help stays fast.
 */
export interface LocalCommand {
  /** `['serve']`, `['db', 'migrate']`. */
  readonly path: readonly [string, ...string[]];
  readonly aliases?: readonly string[];
  /** Works, and is not shown. */
  readonly isHidden?: boolean;
  /** The heading in the top help of a command of one word. */
  readonly group?: Group;
  /** An imperative line without a full stop. */
  readonly summary: string;
  readonly description?: string;
  readonly args?: readonly LocalArgument[];
  readonly options?: readonly LocalOption[];
  /** Take every word as it is, flags too, and hand them over in `args`. */
  readonly isRaw?: boolean;
  readonly examples: readonly (readonly [title: string, line: string])[];
  /** Exit statuses that mean more here than `gatewayctl help exit-codes` says. */
  readonly exits?: readonly (readonly [status: number, meaning: string])[];
  /** The exit status, 0 when nothing is returned. Throws a GatewayError for what somebody is meant to read. */
  readonly run: (context: LocalContext) => Promise<number | void>;
}

/** An open way to the gateway, for a command that needs an operation or two on its own way. */
export interface Caller extends AsyncDisposable {
  readonly describe: string;
  /** Runs the operation of that name, `key list`, with its input as it travels. */
  readonly call: (command: string, input: Record<string, unknown>) => Promise<Record<string, unknown>>;
}

/** What a local command is given. */
export interface LocalContext {
  readonly io: Io;
  /** How sentences to a person look: `ink.done` is ✓ where it can be shown. */
  readonly ink: Ink;
  /** Texts from files and from standard input. */
  readonly sources: Sources;
  /** The values given by position; a list last is spread. */
  readonly args: readonly string[];
  /** The flags that were given, by their name as it is typed, read by their type. */
  readonly options: Readonly<Record<string, unknown>>;
  readonly global: GlobalFlags;
  /** What the command line and the environment say about where the gateway is. */
  readonly target: () => Promise<Target>;
  /** What can be asked of the admin side. */
  readonly operations: readonly Commandable<never>[];
  /** Opens the way to the gateway; whoever does must dispose of it. */
  readonly connect: (options?: { readonly isPassive?: boolean; readonly target?: Target }) => Promise<Caller>;
  /** Opens the way to a running daemon. @throws GatewayError `no_daemon` where there is none */
  readonly daemon: () => Promise<Daemon>;
  /** The whole command tree, with every flag: for help, completion and manuals. */
  readonly program: () => Command;
  /** Whether a person can be asked. */
  readonly canAsk: boolean;
  /** `table`, `json` …: what `-o` asked for, or what suits the stream. */
  readonly format: string;
}
