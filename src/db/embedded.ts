import { setTimeout as sleep } from 'node:timers/promises';

import { GatewayError } from '../kernel/errors.ts';
import { complaint, ensureCluster } from './embedded-cluster.ts';
import { codeOf, explained, failure } from './embedded-failure.ts';
import { withLock } from './embedded-lock.ts';
import { placeIn, type Place } from './embedded-place.ts';
import { launch, livingPostmaster, stop, type Launched } from './embedded-process.ts';
import { knock, others, type NoAnswer, type Session } from './embedded-session.ts';
import { makeHome, settle, type ServerUser } from './embedded-user.ts';
import { usablePrograms } from './postgres-programs.ts';

export interface EmbeddedOptions {
  /** The gateway's state directory; the cluster lives in `<stateDir>/postgres`. */
  stateDir: string;
  /** Server settings beyond ours. Whoever starts the server decides; who joins a running one gets it as it is. */
  settings?: Readonly<Record<string, string>>;
  /** Where the package with PostgreSQL's programs lies, if not among our dependencies. */
  programs?: string;
}

/** A share in a running server. Disposing leaves it; the last one out stops it. */
export interface EmbeddedServer extends AsyncDisposable {
  /**
   * For pg, MikroORM and psql. The host is the directory of a Unix socket. MikroORM does not read the url's
   * `sslmode=disable`, so where PGSSLMODE may be set it must be told `ssl: false` itself.
   */
  readonly url: string;
}

/** For a server that nobody will miss: a test's. From nothing to ready takes 0.8-1.1 s with it, 1-2 s without. */
export const throwaway = {
  fsync: 'off',
  synchronous_commit: 'off',
  full_page_writes: 'off',
  // What it writes ahead takes the room that it needs, and not 16 MB for each file.
  wal_init_zero: 'off',
  wal_recycle: 'off',
} as const;

const database = 'gatewayctl';

/** For recovery after a crash, which replays about max_wal_size (256 MB) of WAL at the most. */
const startMs = 60_000;

/** How long after a server that died could not be started it is tried again. */
const againMs = 1_000;

/** How long a connection that its owner has just closed may still be counted by the server. */
const partingMs = 300;

/**
 * Joins the server of this state directory, starting (and if need be creating) it.
 *
 * Joining, starting and stopping happen under one lock between processes, so two that come at once share one server,
 * and none joins a server that the last one out is about to stop. Who is in is nobody's bookkeeping: each holds one
 * connection, and the server itself knows which of those are left, also after a kill -9.
 */
export async function openEmbedded(options: EmbeddedOptions): Promise<EmbeddedServer> {
  const place = placeIn(options.stateDir);
  try {
    const user = await settle(place);
    const join = () => withLock(place.lock, () => enter(place, () => start(place, { user, ...options })));
    return new Share(place, await join(), join);
  } catch (error) {
    throw explained(error, place);
  }
}

/**
 * The url if a server is running there now, else undefined; never starts one. It is not held by asking: its last
 * holder may stop it at any time, so this is for looking at it, not for working with it.
 */
export async function runningEmbedded(stateDir: string): Promise<string | undefined> {
  const url = placeIn(stateDir).url(database);
  const deadline = performance.now() + startMs;
  while (performance.now() < deadline) {
    const answer = await knock(url).catch(unapproachable);
    if (typeof answer === 'object') {
      await answer.close();
      return url;
    }
    if (answer !== 'not yet') return undefined;
    await sleep(20);
  }
  return undefined;
}

/** A server that only somebody else may use is none. */
function unapproachable(error: unknown): NoAnswer {
  if (codeOf(error) === 'EACCES' || codeOf(error) === 'EPERM') return 'nobody';
  throw error;
}

/** Holds the server until it is let go: one that dies meanwhile is started again, by whichever holder comes first. */
class Share implements EmbeddedServer {
  readonly #place: Place;
  readonly #join: () => Promise<Session>;
  readonly #letGo = new AbortController();
  readonly #held: Promise<void>;
  #session: Session;
  #left: Promise<void> | undefined;

  constructor(place: Place, session: Session, join: () => Promise<Session>) {
    this.#place = place;
    this.#session = session;
    this.#join = join;
    this.#held = this.#hold();
  }

  get url(): string {
    return this.#place.url(database);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return (this.#left ??= this.#leave());
  }

  async #leave(): Promise<void> {
    this.#letGo.abort();
    if (this.#session.isLost) await this.#held;
    await leave(this.#place, this.#session);
  }

  async #hold(): Promise<void> {
    const { signal } = this.#letGo;
    while (!signal.aborted) {
      await this.#session.ended;
      if (signal.aborted) return;
      try {
        this.#session = await this.#join();
      } catch {
        // A full disk, say: whoever uses the database is told by it, and this is tried again.
        await sleep(againMs, undefined, { signal, ref: false }).catch(() => undefined);
      }
    }
  }
}

/** A lost session is no reason to stop anything: if there is a server again, those who started it are in it. */
async function leave(place: Place, session: Session): Promise<void> {
  try {
    await withLock(place.lock, async () => {
      const isLast = await isAlone(session);
      await session.close();
      if (isLast) await stop(place);
    });
  } finally {
    await session.close();
  }
}

/**
 * Waits a moment for connections that nobody holds: pg's pool reports itself closed when it has said goodbye, some
 * milliseconds before the server has heard it, and dispose would then always leave the server behind.
 */
async function isAlone(session: Session): Promise<boolean> {
  const deadline = performance.now() + partingMs;
  while (!session.isLost) {
    const { holders, clients } = await others(session);
    if (clients === 0) return true;
    if (holders > 0 || performance.now() > deadline) return false;
    await sleep(10);
  }
  return false;
}

interface Start {
  user: ServerUser | undefined;
  settings?: Readonly<Record<string, string>>;
  programs?: string;
}

async function start(place: Place, { user, settings = {}, programs: from }: Start): Promise<Starting> {
  await makeHome(place, user);
  const programs = await usablePrograms({ place, user, from });
  await ensureCluster({ place, user, programs, durable: settings['fsync'] !== 'off' });
  return { user, server: await launch({ place, user, programs, extra: settings }) };
}

interface Starting {
  user: ServerUser | undefined;
  server: Launched;
}

/** Knocks until it is let in, and sees to it that there is somebody to open. */
async function enter(place: Place, begin: () => Promise<Starting>): Promise<Session> {
  const deadline = performance.now() + startMs;
  let starting: Starting | undefined;
  for (;;) {
    const answer = await knock(place.url(database));
    if (typeof answer === 'object') return answer;
    if (performance.now() > deadline) throw notReady(place);
    if (answer === 'no such database') await createDatabase(place);
    else if (starting?.server.hasExited) {
      await forgiveOrphans(place, starting);
      starting = undefined;
    } else if (answer === 'nobody' && !starting && !(await livingPostmaster(place))) starting = await begin();
    await sleep(5);
  }
}

/** A crash between the first start and this leaves a cluster without the database, so it is looked for at every start. */
async function createDatabase(place: Place): Promise<void> {
  const session = await knock(place.url('postgres'));
  if (typeof session !== 'object') return;
  try {
    await session.client.query(`create database ${database}`);
  } finally {
    await session.close();
  }
}

/**
 * The children of a killed postmaster end by themselves, but not all at once, and until then a new server refuses to
 * start: F0001, lock_file_exists. That is worth another try; nothing else is.
 */
async function forgiveOrphans(place: Place, { server, user }: Starting): Promise<void> {
  const output = await server.output();
  if (/ F0001 FATAL: /.test(output)) {
    await sleep(100);
    return;
  }
  throw await failure({ place, user, what: 'The embedded PostgreSQL did not start', line: complaint(output) });
}

function notReady(place: Place): GatewayError {
  return new GatewayError(
    'unavailable',
    'embedded_postgres_not_ready',
    `The embedded PostgreSQL is not ready after ${startMs / 1000} s`,
    { hint: `It may still be recovering from a crash: see ${place.log} and try again` },
  );
}
