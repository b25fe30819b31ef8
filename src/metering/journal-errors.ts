import { GatewayError } from '../kernel/errors.ts';

/** SQLite's result codes, https://www.sqlite.org/rescode.html; the low byte of an extended one. */
const SQLITE_BUSY = 5;
const SQLITE_FULL = 13;

function resultCode(thrown: unknown): number | undefined {
  const code = thrown instanceof Error && 'errcode' in thrown ? thrown.errcode : undefined;
  return typeof code === 'number' ? code & 0xff : undefined;
}

export function cannotOpen(path: string, cause: unknown): GatewayError {
  if (cause instanceof GatewayError) return cause;
  if (resultCode(cause) === SQLITE_BUSY) {
    return new GatewayError('config', 'state_dir_in_use', `Another gatewayctl uses the spend journal ${path}`, {
      hint: 'Stop that one, or give this one a state directory of its own.',
      cause,
    });
  }
  return new GatewayError('config', 'journal_unusable', `The spend journal ${path} cannot be opened`, {
    hint: 'Is the directory there, writable and on a disk with room? A damaged journal must be moved away by hand: it holds spend.',
    cause,
  });
}

const retryLater = { 'retry-after': '5' };

export const backlogFull = (rows: number): GatewayError =>
  new GatewayError('unavailable', 'ledger_unavailable', `${rows} calls wait to be booked in the database`, {
    hint: 'The database must come back first: no call is made that cannot be booked.',
    headers: retryLater,
  });

export function cannotWrite(cause: unknown): GatewayError {
  const message =
    resultCode(cause) === SQLITE_FULL
      ? 'The disk with the spend journal is full'
      : 'The spend journal cannot be written';
  return new GatewayError('unavailable', 'ledger_unavailable', message, {
    hint: 'No call is made that cannot be booked.',
    headers: retryLater,
    cause,
  });
}
