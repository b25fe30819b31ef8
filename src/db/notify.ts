import type { Client } from 'pg';
import { z } from 'zod';
import { sqlArray } from './sql-array.ts';
import type { Reachability } from './reachability.ts';
import type { Work } from './work.ts';

const CHANNEL = 'gatewayctl';
/** What daemons say to each other of budgets. Not on the other, where what cannot be read makes a daemon forget all it knows. */
const LEASES = 'gatewayctl_leases';

const text = z.string();
/** Whose spending daemons count; members go with their teams and organizations. */
export const changedSpenders = z.enum(['key', 'team', 'user', 'organization', 'customer', 'tag', 'gateway']);
export type ChangedSpender = z.output<typeof changedSpenders>;

/** Something that daemons hold in memory has changed. Ids only: the payload of a notification ends at 8,000 bytes. */
const Change = z.discriminatedUnion('entity', [
  z.object({
    entity: z.literal('key'),
    id: text,
    hashes: z.array(text).readonly(),
    /** It was not there before, so nobody can know anything of it that is no longer true. */
    isNew: z.literal(true).optional(),
  }),
  z.object({ entity: z.enum(['team', 'user', 'organization']), id: text }),
  // Who is affected by these is in no row of a key: everything that is cached is looked up again.
  z.object({ entity: z.enum(['budget', 'customer', 'tag']), id: text }),
  z.object({ entity: z.literal('model') }),
  z.object({ entity: z.literal('jwt_key_mapping') }),
  z.object({ entity: z.literal('pass_through_endpoint') }),
  // At most 100 names, which fit.
  z.object({ entity: z.literal('response_cache'), names: z.union([z.array(text).readonly(), z.literal('all')]) }),
  z.object({ entity: z.literal('callback') }),
  // What these have spent was booked anew; nothing else of them is another.
  z.object({ entity: z.literal('spend'), owners: z.array(z.tuple([changedSpenders, text]).readonly()).readonly() }),
]);
export type Change = Readonly<z.output<typeof Change>>;

/**
 * Tells every daemon of a change, when the transaction commits and not otherwise: PostgreSQL delivers with the commit.
 * So a change made by the command line in direct mode arrives as fast as one made through the API.
 */
export async function announce({ em, changes }: Work, change: Change): Promise<void> {
  changes.push(change);
  for (const portion of portionsOf(change))
    await em.execute(`select pg_notify(?, ?)`, [CHANNEL, JSON.stringify(portion)]);
}

/** The same of many changes, in one statement. */
export async function announceAll({ em, changes }: Work, announced: readonly Change[]): Promise<void> {
  if (announced.length === 0) return;
  changes.push(...announced);
  const payloads = announced.flatMap(portionsOf).map((portion) => JSON.stringify(portion));
  await em.execute(`select pg_notify(?, payload) from unnest(?::text[]) as payload`, [CHANNEL, sqlArray(payloads)]);
}

/** Hashes in one payload: 100 of 67 bytes leave room below the limit. */
const hashesAtOnce = 100;

function portionsOf(change: Change): Change[] {
  if (change.entity !== 'key') return [change];
  const { hashes } = change;
  return Array.from({ length: Math.ceil(hashes.length / hashesAtOnce) }, (_, index) => ({
    ...change,
    hashes: hashes.slice(index * hashesAtOnce, (index + 1) * hashesAtOnce),
  }));
}

/** Whoever may connect may notify, so nothing about a payload is taken for granted. */
export function readChange(payload: string): Change | undefined {
  try {
    return Change.safeParse(JSON.parse(payload)).data;
  } catch {
    return undefined;
  }
}

/** How often a connection is asked for a sign of life, and how long that may take. */
const BEAT_MS = 250;
const SILENCE_MS = 500;
/** After this it is asked whether the database is away altogether: an answer takes less than the rest of the silence. */
const DOUBT_MS = 100;

export interface ListenOptions {
  readonly url: string;
  readonly clients: Reachability['clients'];
  onChange(change: Change): Promise<void> | void;
  /** Another daemon wants some of a budget, or gives it back. */
  onLease(payload: string): void;
  /** Changes may have been missed, and may be missed from here on: trust no cache until `onUp`. */
  onDown(cause: unknown): void;
  /** No sign of life has come yet, and `onDown` may follow. */
  onDoubt(): void;
  /** An announcement could not be read or followed, so something has changed and nobody knows what. `onUp` comes after it. */
  onUnreadable(cause: unknown): void;
  /** @param since the database's clock, in milliseconds, after which no change is missed */
  onUp(since: number): void;
}

/**
 * Hears of changes for as long as it lives, on a connection of its own: LISTEN needs a session, so the URL must not lead
 * through a pooler in transaction mode.
 */
export class Listener {
  readonly #options: ListenOptions;
  #client: Client | undefined;
  #timer: NodeJS.Timeout | undefined;
  #beat: NodeJS.Timeout | undefined;
  #closed = false;
  #failures = 0;
  /** Announcements that could not be read since the clock was last asked for. */
  #unreadable = 0;

  constructor(options: ListenOptions) {
    this.#options = options;
  }

  async start(): Promise<void> {
    const { Client: GatedClient, stream } = this.#options.clients;
    const client = new GatedClient({
      stream,
      connectionString: this.#options.url,
      application_name: 'gatewayctl-listen',
      connectionTimeoutMillis: 1_000,
      keepAlive: true,
    });
    this.#client = client;
    client.on('notification', ({ channel, payload = '' }) => {
      if (channel === LEASES) this.#options.onLease(payload);
      else void this.#heard(client, payload);
    });
    client.on('error', (error) => this.#lost(client, error));
    client.on('end', () => this.#lost(client, new Error('The connection ended')));
    try {
      await client.connect();
      await client.query(`listen ${CHANNEL}; listen ${LEASES}`);
      const since = await clockOf(client);
      if (this.#client !== client) return;
      this.#failures = 0;
      this.#options.onUp(since);
      this.#beat = setTimeout(() => void this.#listenForLife(client), BEAT_MS);
    } catch (error) {
      this.#lost(client, error);
    }
  }

  /** Never throws: a handler that does would end the daemon, and anybody who may connect could make it. */
  async #heard(client: Client, payload: string): Promise<void> {
    const change = readChange(payload);
    try {
      // A newer gatewayctl may say what we do not know yet.
      if (!change) throw new Error('An announcement could not be read');
      await this.#options.onChange(change);
    } catch (cause) {
      await this.#startAnew(client, cause);
    }
  }

  /** The connection stays, or a flood of nonsense would make us connect again and again. */
  async #startAnew(client: Client, cause: unknown): Promise<void> {
    if (this.#closed || this.#client !== client) return;
    this.#options.onUnreadable(cause);
    const isFirst = this.#unreadable++ === 0;
    if (!isFirst) return;
    try {
      let seen: number;
      let since: number;
      do {
        seen = this.#unreadable;
        since = await clockOf(client);
      } while (seen !== this.#unreadable);
      if (this.#client === client) this.#options.onUp(since);
    } catch (error) {
      this.#lost(client, error);
    } finally {
      this.#unreadable = 0;
    }
  }

  /**
   * A connection can die without a word (a partition, a stopped server), and a revoked key would live on in the cache. So
   * the server is asked again and again, and silence is taken for death.
   */
  async #listenForLife(client: Client): Promise<void> {
    let hasAnswered = false;
    const doubt = setTimeout(() => setImmediate(() => hasAnswered || this.#options.onDoubt()), DOUBT_MS);
    // Timers run before sockets are read: after a pause of our own the answer may lie there already.
    const impatience = setTimeout(
      () => setImmediate(() => hasAnswered || this.#lost(client, new Error('The database is silent'))),
      SILENCE_MS,
    );
    try {
      await client.query('select 1');
      hasAnswered = true;
    } catch (error) {
      this.#lost(client, error);
    } finally {
      clearTimeout(doubt);
      clearTimeout(impatience);
    }
    if (this.#client === client && !this.#closed) {
      this.#beat = setTimeout(() => void this.#listenForLife(client), BEAT_MS);
    }
  }

  #lost(client: Client, cause: unknown): void {
    if (this.#closed || this.#client !== client) return;
    this.#client = undefined;
    clearTimeout(this.#beat);
    void client.end().catch(() => {});
    this.#options.onDown(cause);
    // At most a second, so that recovery is felt within two.
    const delay = Math.min(1_000, 50 * 2 ** this.#failures++);
    this.#timer = setTimeout(() => void this.start(), delay);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#timer);
    clearTimeout(this.#beat);
    await this.#client?.end().catch(() => {});
  }
}

async function clockOf(client: Client): Promise<number> {
  const { rows } = await client.query<{ now: number }>(
    'select (extract(epoch from clock_timestamp()) * 1000)::float8 as now',
  );
  return rows[0]?.now ?? Number.POSITIVE_INFINITY;
}
