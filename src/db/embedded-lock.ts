import { setTimeout as sleep } from 'node:timers/promises';

import { GatewayError } from '../kernel/errors.ts';

/** SQLITE_BUSY: somebody else holds the file. */
const busy = 5;

/** Longer than a start may take (60 s), so that who waits for a slow recovery sees how it ends. */
const patienceMs = 75_000;

/**
 * Runs `work` while no other process, and nobody else in this one, is inside `withLock` of the same file.
 *
 * Node has no flock, so this borrows SQLite's: an exclusive transaction on an empty database, which writes nothing (it
 * works on a full disk) and rests on fcntl locks. The kernel drops those when the process dies, however it dies; a
 * child does not inherit them, so the server we spawn cannot keep the lock as it would an flock; and SQLite keeps two
 * connections of one process apart, which bare fcntl would not.
 *
 * Polled, and not left to SQLite's busy timeout: that one blocks the thread, and when the holder is this same thread
 * it would wait for itself.
 */
export async function withLock<Result>(file: string, work: () => Promise<Result>): Promise<Result> {
  const { DatabaseSync } = await import('node:sqlite');
  const database = new DatabaseSync(file);
  try {
    const deadline = performance.now() + patienceMs;
    while (!take(database)) {
      if (performance.now() > deadline) throw stuck(file);
      await sleep(5 + Math.random() * 10);
    }
    return await work();
  } finally {
    database.close();
  }
}

function take(database: { exec(sql: string): void }): boolean {
  try {
    // In memory, or SQLite would put an (always empty) journal beside the file.
    database.exec('PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE');
    return true;
  } catch (error) {
    if (error instanceof Error && 'errcode' in error && error.errcode === busy) return false;
    throw error;
  }
}

function stuck(file: string): GatewayError {
  return new GatewayError(
    'unavailable',
    'embedded_postgres_busy',
    `Another gatewayctl has been starting or stopping the embedded PostgreSQL for ${patienceMs / 1000} s`,
    { hint: `See who holds ${file}: fuser -v ${file}` },
  );
}
