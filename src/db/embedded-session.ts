import { Socket } from 'node:net';
import type { Client } from 'pg';

import { GatewayError } from '../kernel/errors.ts';
import { codeOf } from './embedded-failure.ts';

/** By this name those who hold the server are told from those who merely use it. */
export const holder = 'gatewayctl-holder';

/** One connection of ours to the server. */
export interface Session {
  readonly client: Client;
  /** The server ended it, or died. */
  readonly isLost: boolean;
  /** Fulfilled when it is lost, or closed. */
  readonly ended: Promise<void>;
  /** Returns when the server has forgotten the connection, so that the next one to count does not see it. */
  close(): Promise<void>;
}

/** What came of knocking at a socket, where it was not a session. */
export type NoAnswer =
  /** Nobody listens. */
  | 'nobody'
  /** Somebody listens and is starting, recovering or stopping. */
  | 'not yet'
  | 'no such database';

const knockMs = 5_000;

/** Connects once, and says in a word why there is no connection if that may change. */
export async function knock(url: string): Promise<Session | NoAnswer> {
  const { Client: PgClient } = await import('pg');
  const socket = new Socket();
  const client = new PgClient({
    connectionString: url,
    application_name: holder,
    connectionTimeoutMillis: knockMs,
    query_timeout: 30_000,
    stream: () => socket,
  });
  let isLost = false;
  const ended = Promise.withResolvers<void>();
  const lose = () => {
    isLost = true;
    ended.resolve();
  };
  // Without a listener the death of the server would be the death of this process.
  client.on('error', lose).on('end', lose);
  try {
    await client.connect();
  } catch (error) {
    socket.destroy();
    return noAnswer(error);
  }
  return {
    client,
    get isLost() {
      return isLost;
    },
    ended: ended.promise,
    async close() {
      const impatience = setTimeout(() => socket.destroy(), knockMs);
      await client.end();
      clearTimeout(impatience);
    },
  };
}

function noAnswer(error: unknown): NoAnswer {
  switch (codeOf(error)) {
    case 'ENOENT':
    case 'ECONNREFUSED':
      return 'nobody';
    case '3D000': // invalid_catalog_name
      return 'no such database';
    case '57P01': // admin_shutdown
    case '57P02': // crash_shutdown
    case '57P03': // cannot_connect_now
    case 'EAGAIN': // the backlog is full
    case 'ECONNRESET':
    case 'EPIPE':
    case undefined: // pg's own errors, a time-out and an early end, carry no code
      return 'not yet';
    case 'EACCES':
    case 'EPERM':
      throw error;
    default:
      throw new GatewayError(
        'unavailable',
        'embedded_postgres_refused',
        'The embedded PostgreSQL refuses a connection',
        {
          cause: error,
        },
      );
  }
}

/** Who else is connected: holders, and clients of any kind. */
export async function others({ client }: Session): Promise<{ holders: number; clients: number }> {
  const { rows } = await client.query<{ holders: number; clients: number }>(
    `select count(*) filter (where application_name = $1)::int as holders, count(*)::int as clients
       from pg_stat_activity where backend_type = 'client backend' and pid <> pg_backend_pid()`,
    [holder],
  );
  return rows[0] ?? { holders: 0, clients: 0 };
}
