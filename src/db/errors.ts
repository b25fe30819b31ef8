import { GatewayError } from '../kernel/errors.ts';

const codeOf = (thrown: unknown): string | undefined =>
  typeof thrown === 'object' && thrown !== null && 'code' in thrown && typeof thrown.code === 'string'
    ? thrown.code
    : undefined;

/**
 * SQLSTATE classes and codes that say the server cannot work now: connection trouble, shutdown, too many clients, read-only,
 * disk full, timeout; and that it does not let us in any more (28, 3D000): a password that was changed, or a database
 * that was renamed, is the operator's to mend, and no key is bad for it.
 */
const transient = /^(08|28|57P0|53)|^(3D000|25006|57014|55P03|40001|40P01)$/;

const network = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'ENOENT',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EPIPE',
  'ETIMEDOUT',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ECONNABORTED',
  'EMFILE',
  'ENFILE',
  'EACCES',
]);

function isTrouble(thrown: unknown): boolean {
  for (let error = thrown; error instanceof Error; error = error.cause) {
    const code = codeOf(error);
    if (code && (transient.test(code) || network.has(code))) return true;
    if (/timeout exceeded when trying to connect|Query read timeout|Connection terminated/.test(error.message))
      return true;
  }
  return false;
}

/**
 * Database trouble as what it is: ours, and worth trying again. Never an authentication error, which would tell a
 * client that its good key is bad. Anything else comes back as it was thrown.
 */
export function asDatabaseTrouble(thrown: unknown): unknown {
  if (thrown instanceof GatewayError || !isTrouble(thrown)) return thrown;
  return unwritable(thrown) ?? databaseAway(thrown);
}

/** It answers, and what is read from it is right, so that nothing is served from before for these. */
const unwritables = {
  '25006': [
    'database_read_only',
    'The database takes no changes: it is read-only',
    'Is it a standby, or is default_transaction_read_only set? Nothing was changed; what is read goes on.',
  ],
  '53100': [
    'database_full',
    'The database takes no changes: its disk is full',
    'Nothing was changed; what is read goes on. Make room, and all goes on by itself.',
  ],
} as const;

function unwritable(thrown: unknown): GatewayError | undefined {
  for (let error = thrown; error instanceof Error; error = error.cause) {
    const code = codeOf(error) ?? '';
    const found = Object.entries(unwritables).find(([each]) => each === code);
    if (!found) continue;
    const [, [type, message, hint]] = found;
    return new GatewayError('unavailable', type, message, { hint, headers: { 'retry-after': '5' }, cause: thrown });
  }
  return undefined;
}

export const databaseAway = (cause: unknown): GatewayError =>
  new GatewayError('unavailable', 'database_unreachable', 'The database does not answer', {
    hint: 'Is PostgreSQL running, and is the database URL right? Try: gatewayctl db url',
    headers: { 'retry-after': '1' },
    cause,
  });

const refusals = {
  '28': ['unauthenticated', 'database_login_refused', 'Check the user and password of the database URL.'],
  '3D': ['notFound', 'database_not_found', 'Create the database, or correct the database URL.'],
  '42501': ['forbidden', 'database_permission', 'Grant it to the role of the database URL, or use another role.'],
} as const;

/**
 * What PostgreSQL says to whoever opens or migrates it and may not. Its own sentence names the role and the database, and
 * never the password.
 */
export function asDatabaseRefusal(thrown: unknown): unknown {
  for (let error = thrown; error instanceof Error; error = error.cause) {
    const code = codeOf(error) ?? '';
    const refusal = Object.entries(refusals).find(([prefix]) => code.startsWith(prefix));
    if (!refusal) continue;
    const [, [kind, type, hint]] = refusal;
    return new GatewayError(kind, type, `The database refuses: ${error.message}`, { hint, cause: thrown });
  }
  return asDatabaseTrouble(thrown);
}
