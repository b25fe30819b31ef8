import type { z } from 'zod';
import type { Comparison } from './existing.ts';
import type { Permits } from './permits.ts';

/** Who is asking. */
export type Actor =
  /** Whoever holds the database URL, or may open the admin socket, already holds everything. */
  | { readonly type: 'operator'; readonly name: string; readonly via: 'cli-direct' | 'admin-socket' | 'daemon' }
  | { readonly type: 'master' }
  | {
      readonly type: 'key';
      readonly keyId: string;
      readonly hash: string;
      readonly userId: string | null;
      readonly teamId: string | null;
      /** As it was when the key was looked up; what is decided by is read anew (see `access/authority.ts`). */
      readonly role: Role;
      /** Of a JWT that the key is mapped to: it bounds what is done beside the key. */
      readonly token?: Pick<TokenActor, 'mayBeAdmin' | 'permits' | 'expiresAt'> | undefined;
    }
  | TokenActor;

export type TokenActor = Bearer & {
  readonly type: 'jwt';
  readonly userId: string | null;
  readonly teamId: string | null;
  /** The organization that the token names, beyond which it does not reach. */
  readonly organizationId: string | null;
  readonly role: Role;
  readonly permits: readonly Permits[];
  /** Milliseconds since 1970. */
  readonly expiresAt: number;
};

/** Whoever brought a JWT, by what its issuer says. */
export interface Bearer {
  readonly issuer: string;
  readonly subject: string;
  /** Whether a scope or a role of the token makes an administrator, from an issuer that may. */
  readonly isAdmin: boolean;
  /** Whether its user's own role can make one. */
  readonly mayBeAdmin: boolean;
  /** A job of a CI system: it does these operations and nothing else, in its team or organization where one is named. */
  readonly workload?: Workload | undefined;
}

export interface Workload {
  readonly name: string;
  /** By their commands: `key generate`. */
  readonly operations: readonly string[];
  readonly teamId: string | null;
  readonly organizationId: string | null;
}

export const roles = ['proxy_admin', 'proxy_admin_viewer', 'internal_user', 'internal_user_viewer'] as const;
export type Role = (typeof roles)[number];

/** A schema of an object that has one shape here and another on the way; see `wire`. */
export type Wire = z.ZodType<object, object>;

export type Method = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
export type Route = readonly [method: Method, path: `/${string}`];

/** A flag whose spelling or meaning is not simply its field's. */
export interface Flag {
  /** Without the dashes. */
  readonly name: string;
  readonly placeholder?: string;
  readonly description?: string;
  /** The wire fields that what was typed stands for. Throws a GatewayError when it stands for none. */
  readonly parse?: (text: string) => Readonly<Record<string, unknown>>;
  /** What can be completed: names of objects, looked up when the user presses TAB. */
  readonly completes?: Completes;
  /**
   * Holds a secret, so it is taken from a file, from standard input or as `os.environ/NAME`, and never as it is. So is
   * a member of this field's name inside JSON that the command is given.
   */
  readonly isSecret?: boolean;
}

/** What a word names: a file, or an object that the list of its noun shows. */
export type Completes =
  | 'file'
  | 'key'
  | 'team'
  | 'user'
  | 'org'
  | 'customer'
  | 'budget'
  | 'tag'
  | 'model'
  | 'access-group'
  | 'credential'
  | 'invitation';

/** How one operation looks on the command line. Whatever is not said here follows from the schemas. */
export interface CommandLine {
  /** Input fields given by position, as they travel; a last one that is a list takes several. */
  readonly args?: readonly string[];
  /** Flags whose name differs from the field's, or `false` for a field that has none. */
  readonly flags?: Readonly<Record<string, string | Flag | false>>;
  /** What can be completed for a field, by position or as a flag: names of objects that exist. */
  readonly completes?: Readonly<Record<string, Completes>>;
  /** For a list that comes in pages: the fields of its input and its answer that say so. */
  readonly pages?: { readonly page: string; readonly size: string; readonly total: string };
  /** Fields sent with every call of the command. */
  readonly fixed?: Readonly<Record<string, unknown>>;
  /** Reads the field that names a key as a secret from standard input (`--key-stdin`); only its hash is sent. */
  readonly keyStdin?: string;
  /**
   * The field, an object, whose members hold secrets: each is read from a file, a variable or standard input
   * (`--value-file name=path`, `--value-env name=VAR`, `--value-stdin name`).
   */
  readonly values?: string;
  /** The member of the answer that holds the object or the list, when it is not the answer itself. */
  readonly result?: string;
  /** Members shown in tables and TSV, in order: only ever appended to. `wide` adds its own behind them. */
  readonly columns?: readonly string[];
  readonly wide?: readonly string[];
  /** The columns that suit what was asked for, by the input as it travels; nothing where `columns` do. */
  readonly columnsOf?: (input: Readonly<Record<string, unknown>>) => readonly string[] | undefined;
  /** What only a person is shown: fields sent for that, a member drawn as bars on a terminal, one that marks a row of sums. */
  readonly forEyes?: {
    readonly input: Readonly<Record<string, unknown>>;
    readonly bar: string;
    readonly isTotal: string;
  };
  /** Headings that are not simply the member's name in capitals. */
  readonly headings?: Readonly<Record<string, string>>;
  /** The member that names an object: what `-q` and `-o name` print. */
  readonly id?: string;
  /** The member that holds a new secret: shown once, by itself. */
  readonly secret?: string;
  /** How it is asked before something is destroyed: `[y/N]`, or by typing the object's name. */
  readonly confirm?: 'moderate' | 'severe';
  /**
   * What is looked up for each object before a person is asked about it: the command that shows it, the field by which
   * it takes the object, and what to say of its answer.
   */
  readonly atStake?: {
    readonly look: string;
    readonly field: string;
    readonly says?: (answer: Record<string, unknown>, input: Readonly<Record<string, unknown>>) => string;
  };
  /** Fields that have to be given unless one of others is, which says the same. */
  readonly needs?: Readonly<Record<string, readonly string[]>>;
  /** Its one argument may be absent for whoever comes with a virtual key: it is about that key then. */
  readonly isOwnWithout?: boolean;
  /** How a member of another kind than a text is shown in tables and blocks. */
  readonly cells?: Readonly<Record<string, (value: unknown) => string>>;
  /** One line to a person after a change, from the encoded answer and the input as it travelled. */
  readonly done?: (output: Record<string, unknown>, input: Record<string, unknown>) => string;
  /**
   * For a question: what to say when the answer, encoded, is no. It is shown all the same, and the exit status is 1.
   */
  readonly no?: (output: Record<string, unknown>) => string | undefined;
  /** `[what it is for, the command line]`: feeds help and manual, and is parsed by a test. */
  readonly examples: readonly (readonly [title: string, line: string])[];
}

/** How an operation that creates finds what is there already: what `if_not_exists` needs to know. */
export interface Existing<Services, Input extends Wire, Output extends Wire> {
  /** The fields that name the object, as they travel; one of them has to be given. */
  readonly names: readonly string[];
  /**
   * The object the input names, as the operation would have answered it, with null for a secret that cannot be shown
   * again. Nothing when there is none, or none that the caller may see.
   */
  readonly find: (services: Services, input: z.output<Input>) => Promise<z.output<Output> | undefined>;
  /**
   * Fields that are not simply compared with the member of their name, by wire name. A field that the answer does not
   * have needs one.
   */
  readonly compare?: Readonly<Record<string, Comparison<Services>>>;
}

/**
 * Something the gateway can be asked to do, whoever asks and however.
 *
 * From one of these come an admin route, a command in each of its modes, an OpenAPI entry, a completion and a manual
 * page. It is therefore plain data and one function, and importing it must not load the database or the web server.
 */
export interface Operation<Services, Input extends Wire, Output extends Wire> {
  /** Nouns, then the verb: `key generate`, `team member add`. A verb alone where there is nothing it could be about but a call. */
  readonly command: readonly [string, ...string[]];
  /** Other verbs for the same command, LiteLLM's among them; not shown in help. */
  readonly aliases?: readonly string[];
  readonly route: Route;
  /** Further routes under which LiteLLM's clients look for it. A `:name` in a path fills the field of that name. */
  readonly alsoAt?: readonly Route[];
  /** An imperative line without a full stop, for lists of commands. */
  readonly summary: string;
  /** What the summary leaves out. */
  readonly description?: string;
  readonly input: Input;
  readonly output: Output;
  /** The answer is but the first line of a stream (NDJSON): lines of this shape follow it as things happen. */
  readonly follows?: z.ZodType;
  /** LiteLLM's fields that are not served: accepted only when null or empty. */
  readonly unserved?: readonly string[];
  /**
   * `admin`: administrators; whoever may only look at everything may read. `scoped`: any valid credential, and the
   * service asks the authority of the caller for each object.
   */
  readonly access: 'admin' | 'scoped';
  /** Changes nothing although it is not asked by GET. */
  readonly isRead?: true;
  /** All that it reads is of one moment, however long it takes: it compares sums with one another. */
  readonly isOfOneMoment?: true;
  /** Absent for a route that only LiteLLM's clients ask for, in a shape of theirs: then there is no command. */
  readonly cli?: CommandLine;
  /** For an operation that creates something with a name. With it the operation takes `if_not_exists`. */
  readonly existing?: Existing<Services, Input, Output>;
  readonly run: (services: Services, input: z.output<Input>, actor: Actor) => Promise<z.output<Output>>;
}

// oxlint-disable-next-line typescript/no-explicit-any -- a list of operations forgets what each one takes
export type AnyOperation<Services> = Operation<Services, any, any>;

/** Whether it leaves everything as it is: then whoever may only look may ask for it. */
export const isReading = ({ route: [method], isRead }: Pick<AnyOperation<never>, 'route' | 'isRead'>): boolean =>
  method === 'GET' || isRead === true;

export function operation<Services, Input extends Wire, Output extends Wire>(
  definition: Operation<Services, Input, Output>,
): Operation<Services, Input, Output> {
  return definition;
}

/** Runs an operation: here, or in a daemon. A command cannot tell which. Input and output are as they travel. */
export type Invoke<Services> = (
  operation: AnyOperation<Services>,
  input: Record<string, unknown>,
) => Promise<Record<string, unknown>>;
