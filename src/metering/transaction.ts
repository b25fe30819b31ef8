import type pg from 'pg';

const ignore = () => undefined;

/**
 * Runs some work in a transaction that the server ends by itself when it takes too long. A connection on which anything
 * went wrong is thrown away: its state is unknown, and there is another.
 */
export async function transaction<Value>(
  pool: pg.Pool,
  work: (client: pg.PoolClient) => Promise<Value>,
): Promise<Value> {
  const client = await pool.connect();
  // A connection that the server kills in the middle reports it twice: the query fails, and the client emits an error.
  client.on('error', ignore);
  try {
    // A daemon that is stopped in the middle must not keep the rows of a team locked.
    await client.query(
      `begin; set local statement_timeout = '5s'; set local lock_timeout = '2s'; set local idle_in_transaction_session_timeout = '5s'`,
    );
    const value = await work(client);
    await client.query('commit');
    client.off('error', ignore);
    client.release();
    return value;
  } catch (error) {
    client.release(true);
    throw error;
  }
}
