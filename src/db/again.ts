import { setTimeout as wait } from 'node:timers/promises';

/** Deadlock, and what could not be put in an order: PostgreSQL has undone one of two transactions so that the other can go on. */
const conflicts = new Set(['40P01', '40001']);

const attempts = 4;
const longestWaitMs = 50;

function isConflict(thrown: unknown): boolean {
  for (let error = thrown; error instanceof Error; error = error.cause) {
    if ('code' in error && typeof error.code === 'string' && conflicts.has(error.code)) return true;
  }
  return false;
}

/**
 * Runs a transaction, and runs it anew when it was the one that had to give way. Nothing of it is left by then, and the
 * other one is through after a moment; the wait is of random length so that two do not meet again.
 *
 * @throws whatever the last of four attempts threw
 */
export async function untilThrough<T>(transaction: () => Promise<T>): Promise<T> {
  for (let left = attempts - 1; ; left--) {
    try {
      return await transaction();
    } catch (thrown) {
      if (left === 0 || !isConflict(thrown)) throw thrown;
      await wait(Math.random() * longestWaitMs);
    }
  }
}
