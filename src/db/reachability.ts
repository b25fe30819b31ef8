import { Socket } from 'node:net';
import { Client, type Pool, type QueryConfig } from 'pg';
import { databaseAway } from './errors.ts';

/** After an attempt to connect that failed the next one waits so long, however many want a connection. */
const APART_MS = 250;

/** How long a connection of the pool has to answer when the database is in doubt, and when it is asked again. */
const PROBE_MS = 350;
const AGAIN_MS = 250;
/** How long it has to answer once it has not: a database that is merely slow is there, and is used. */
const SLOW_MS = 1_000;

/** A database that is away for so long has lost what it was asked: whoever still waits for it is told. */
const CUT_MS = 1_000;

/**
 * Whether the database can be asked. It counts as away when changes cannot be heard of *and* the pool gets no answer: one
 * broken connection is no outage, and of a server that stands still no query says that it will never come back.
 *
 * While it is away nobody waits for it: keys are served from before or refused at once, and connections that were in use
 * are cut, so that what hangs in them neither holds its place for ten seconds nor hides that the server is back.
 */
export class Reachability {
  readonly #sockets = new Set<Socket>();
  #pool: Pool | undefined;
  #isHeard = true;
  #answers = true;
  #askedAt = 0;
  #patienceMs = PROBE_MS;
  #awayAt: number | undefined;
  #probing: Promise<void> | undefined;
  #again: NodeJS.Timeout | undefined;
  #isClosed = false;
  /** Why the last attempt to connect failed; undefined once one has not. */
  #failure: { readonly cause: unknown } | undefined;
  #triedAt = 0;
  #isTrying = false;

  /** @param pool whose connections are `clients` */
  watch(pool: Pool): void {
    this.#pool = pool;
  }

  get isAway(): boolean {
    return !this.#isHeard && !this.#answers;
  }

  /** @throws GatewayError 503 while it is away */
  require(): void {
    if (this.isAway) throw databaseAway(this.#failure?.cause);
  }

  /** The connection that hears of changes is late: by the time it is given up it shall be known whether that is all. */
  doubt(): void {
    void this.#probe();
  }

  /** Changes cannot be heard of. */
  lost(): void {
    this.#isHeard = false;
    // An answer from long ago says nothing about now.
    if (performance.now() - this.#askedAt > 2 * PROBE_MS) this.#answers = true;
    this.#note();
    void this.#probe();
  }

  found(): void {
    this.#isHeard = true;
    this.#answers = true;
    this.#patienceMs = PROBE_MS;
    this.#note();
  }

  /** For pg: clients that ask before they connect, so that a server that is full or gone is not stormed. */
  readonly clients = { Client: gatedClient((connect) => this.#attempt(connect)), stream: () => this.#open() };

  #open(): Socket {
    const socket = new Socket();
    this.#sockets.add(socket);
    return socket.once('close', () => this.#sockets.delete(socket));
  }

  async #attempt<T>(connect: () => Promise<T>): Promise<T> {
    const now = performance.now();
    if (this.#failure) {
      if (this.#isTrying || now - this.#triedAt < APART_MS) throw databaseAway(this.#failure.cause);
      this.#isTrying = true;
    }
    this.#triedAt = now;
    try {
      const connected = await connect();
      this.#failure = undefined;
      return connected;
    } catch (cause) {
      this.#failure = { cause };
      throw cause;
    } finally {
      this.#isTrying = false;
    }
  }

  /** One at a time, and again for as long as changes cannot be heard of. */
  #probe(): Promise<void> {
    clearTimeout(this.#again);
    this.#probing ??= this.#ask().finally(() => {
      this.#probing = undefined;
      if (!this.#isHeard && !this.#isClosed) this.#again = setTimeout(() => void this.#probe(), AGAIN_MS).unref();
    });
    return this.#probing;
  }

  async #ask(): Promise<void> {
    let answer: Answer = await this.#askOnce();
    // The connection may have been one that broke together with the one that hears of changes.
    if (answer === 'broken' && this.#answers) answer = await this.#askOnce();
    this.#answers = answer === 'there';
    if (!this.#answers) this.#patienceMs = SLOW_MS;
    this.#askedAt = performance.now();
    this.#note();
  }

  async #askOnce(): Promise<Answer> {
    if (!this.#pool) return 'there';
    const late = Promise.withResolvers<Answer>();
    // Timers run before sockets are read: after a pause of our own the answer may lie there already.
    const timer = setTimeout(() => setImmediate(() => late.resolve('silent')), this.#patienceMs);
    const asked = this.#pool.query(probe).then(
      (): Answer => 'there',
      (): Answer => 'broken',
    );
    return Promise.race([asked, late.promise]).finally(() => clearTimeout(timer));
  }

  #note(): void {
    if (!this.isAway) {
      this.#awayAt = undefined;
      return;
    }
    const now = performance.now();
    this.#awayAt ??= now;
    if (now - this.#awayAt < CUT_MS) return;
    this.#awayAt = now;
    for (const socket of this.#sockets) socket.destroy();
  }

  [Symbol.dispose](): void {
    this.#isClosed = true;
    clearTimeout(this.#again);
  }
}

type Answer = 'there' | 'broken' | 'silent';

const probe: QueryConfig & { readonly query_timeout: number } = { text: 'select 1', query_timeout: SLOW_MS };

type Connected = ((error: Error) => void) | ((error: null, client: Client) => void);

function gatedClient(attempt: (connect: () => Promise<Client>) => Promise<Client>): typeof Client {
  return class GatedClient extends Client {
    override connect(): Promise<Client>;
    override connect(callback: Connected): void;
    override connect(callback?: Connected): Promise<Client> | undefined {
      const connected = attempt(() => super.connect());
      if (!callback) return connected;
      // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- of the two forms pg's type has, it calls both
      const called = callback as (error: Error | null, client?: Client) => void;
      connected.then((client) => called(null, client), called);
      return undefined;
    }
  };
}
