import { given } from '../db/work.ts';
import { clientNetwork } from '../kernel/client-network.ts';
import type { GatewayError } from '../kernel/errors.ts';
import type { Actor, Route } from '../kernel/operation.ts';
import type { Entry } from './audit.service.ts';

/** For how long refusals are counted together, and the rows they may fill in that time: a flood must not fill the disk. */
const WINDOW_MS = 60_000;
const ROWS_FOR_ONE = 10;
const ROWS_FOR_ALL = 60;

export interface Refusal {
  readonly error: GatewayError;
  readonly route: Route;
  readonly requestId: string;
  /** The address it came from. */
  readonly client: string | undefined;
  /** What was given instead of a credential, masked; absent for a caller who has one. */
  readonly credential?: string | undefined;
  /** Absent for a caller nobody knows. */
  readonly actor?: Actor | undefined;
}

export interface RefusalsOptions {
  readonly now: () => Date;
  readonly nameOf: (actor: Actor) => string;
  /** Writes entries in a transaction of their own: the one of what was refused is rolled back. */
  readonly write: (entries: readonly Entry[]) => Promise<void>;
  /** Told when they could not be written. What was refused stays refused. */
  readonly onError: (error: unknown) => void;
}

type Kind = 'denied' | 'unauthenticated';

interface Source {
  readonly actor: string;
  readonly client: string | null;
  rows: number;
  /** Refusals that were counted and have no row of their own. */
  more: number;
}

interface Window {
  readonly since: Date;
  readonly timer: NodeJS.Timeout;
  /** As many as there are rows at most. */
  readonly sources: Map<string, Source>;
  rows: number;
  /** Refusals of callers that came when all rows were taken. */
  others: number;
}

/**
 * Keeps a row of what was refused: an operation to somebody who may not, any to somebody whose credential is none. The
 * first of every caller in a minute have a row each; the rest are counted, and have one row together when the minute is
 * over. Callers with and without a credential are counted apart, so that a flood of guesses hides no insider.
 */
export class Refusals implements AsyncDisposable {
  readonly #options: RefusalsOptions;
  readonly #windows = new Map<Kind, Window>();

  constructor(options: RefusalsOptions) {
    this.#options = options;
  }

  async record(refusal: Refusal): Promise<void> {
    const { actor, client } = refusal;
    const kind = actor ? 'denied' : 'unauthenticated';
    const name = actor ? this.#options.nameOf(actor) : anonymous;
    const isFirst = this.#count(kind, actor ? name : clientNetwork(client), { actor: name, client: client ?? null });
    if (isFirst) await this.#write([this.#entryOf(kind, name, refusal)]);
  }

  /** Writes what was only counted so far. */
  async [Symbol.asyncDispose](): Promise<void> {
    for (const kind of this.#windows.keys()) await this.#close(kind);
  }

  /** Whether there is a row left for this one. */
  #count(kind: Kind, key: string, { actor, client }: Pick<Source, 'actor' | 'client'>): boolean {
    const window = this.#windows.get(kind) ?? this.#open(kind);
    const source = window.sources.get(key);
    if (window.rows >= ROWS_FOR_ALL || (source?.rows ?? 0) >= ROWS_FOR_ONE) {
      if (source) source.more++;
      else window.others++;
      return false;
    }
    window.rows++;
    if (source) source.rows++;
    else window.sources.set(key, { actor, client, rows: 1, more: 0 });
    return true;
  }

  #open(kind: Kind): Window {
    const timer = setTimeout(() => void this.#close(kind), WINDOW_MS).unref();
    const window = { since: this.#options.now(), timer, sources: new Map<string, Source>(), rows: 0, others: 0 };
    this.#windows.set(kind, window);
    return window;
  }

  async #close(kind: Kind): Promise<void> {
    const window = this.#windows.get(kind);
    if (!window) return;
    this.#windows.delete(kind);
    clearTimeout(window.timer);
    const rest = [...window.sources.values(), { actor: 'others', client: null, more: window.others }];
    const at = this.#options.now();
    const entries = rest
      .filter(({ more }) => more > 0)
      .map(({ actor, client, more }) =>
        this.#entry(kind, { at, actor, client, objectId: 'any', after: { count: more, since: window.since } }),
      );
    if (entries.length > 0) await this.#write(entries);
  }

  async #write(entries: readonly Entry[]): Promise<void> {
    await this.#options.write(entries).catch(this.#options.onError);
  }

  #entryOf(kind: Kind, actor: string, { error, route, requestId, client, credential }: Refusal): Entry {
    // Of a credential that is no good any more, the parameter is the credential, masked.
    const param = kind === 'denied' ? error.param : undefined;
    const after = given({ error: error.type, param, credential, reason: error.reason });
    return this.#entry(kind, { at: this.#options.now(), actor, client, requestId, objectId: route.join(' '), after });
  }

  #entry(kind: Kind, rest: Omit<Entry, 'action' | 'via' | 'objectType'>): Entry {
    const via = kind === 'denied' ? 'api-key' : 'api-anonymous';
    return { action: kind, via, objectType: 'operation', ...rest };
  }
}

const anonymous = 'anonymous';
