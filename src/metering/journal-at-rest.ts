import { existsSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import type { JournalState } from './journal.ts';

/**
 * The journal of a daemon that does not run. Nothing where there is none, and nothing where a daemon has it: it is its own
 * alone, and that daemon can be asked.
 */
export function journalAtRest(path: string): JournalState | undefined {
  if (!existsSync(path)) return undefined;
  let db: DatabaseSync | undefined;
  try {
    db = new DatabaseSync(path, { readOnly: true, timeout: 0 });
    const count = (table: string) => Number(db?.prepare(`select count(*) as count from ${table}`).get()?.['count']);
    return { pending: count('calls'), setAside: count('set_aside') };
  } catch (error) {
    if (error instanceof Error && 'errcode' in error) return undefined;
    throw error;
  } finally {
    if (db?.isOpen) db.close();
  }
}
