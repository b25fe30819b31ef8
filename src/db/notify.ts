import { Client } from 'pg';
import type { Work } from './work.ts';

const CHANNEL = 'gatewayctl';

/** Something that daemons hold in memory has changed. Ids only: the payload of a notification ends at 8,000 bytes. */
export type Change =
  | { readonly entity: 'key'; readonly id: string; readonly hashes: readonly string[] }
  | { readonly entity: 'team' | 'user' | 'organization'; readonly id: string }
  | { readonly entity: 'model' };

/**
 * Tells every daemon of a change, when the transaction commits and not otherwise: PostgreSQL delivers with the commit.
 * So a change made by the command line in direct mode arrives as fast as one made through the API.
 */
export async function announce({ em, changes }: Work, change: Change): Promise<void> {
  changes.push(change);
  await em.execute(`select pg_notify(?, ?)`, [CHANNEL, JSON.stringify(change)]);
}

export interface ListenOptions {
  readonly url: string;
  onChange(change: Change): Promise<void> | void;
  /** Changes may have been missed, and may be missed from here on: trust no cache until `onUp`. */
  onDown(cause: unknown): void;
  onUp(): void;
}

/**
 * Hears of changes for as long as it lives, on a connection of its own: LISTEN needs a session, so the URL must not lead
 * through a pooler in transaction mode.
 */
export class Listener {
  readonly #options: ListenOptions;
  #client: Client | undefined;
  #timer: NodeJS.Timeout | undefined;
  #closed = false;
  #failures = 0;

  constructor(options: ListenOptions) {
    this.#options = options;
  }

  async start(): Promise<void> {
    const client = new Client({
      connectionString: this.#options.url,
      application_name: 'gatewayctl-listen',
      connectionTimeoutMillis: 1_000,
      keepAlive: true,
    });
    this.#client = client;
    client.on('notification', ({ payload }) => {
      // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- whoever may notify on our database is trusted
      if (payload) void this.#options.onChange(JSON.parse(payload) as Change);
    });
    client.on('error', (error) => this.#lost(client, error));
    client.on('end', () => this.#lost(client, new Error('The connection ended')));
    try {
      await client.connect();
      await client.query(`listen ${CHANNEL}`);
    } catch (error) {
      this.#lost(client, error);
      return;
    }
    if (this.#client !== client) return;
    this.#failures = 0;
    this.#options.onUp();
  }

  #lost(client: Client, cause: unknown): void {
    if (this.#closed || this.#client !== client) return;
    this.#client = undefined;
    void client.end().catch(() => {});
    this.#options.onDown(cause);
    // At most a second, so that recovery is felt within two.
    const delay = Math.min(1_000, 50 * 2 ** this.#failures++);
    this.#timer = setTimeout(() => void this.start(), delay);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#timer);
    await this.#client?.end().catch(() => {});
  }
}
