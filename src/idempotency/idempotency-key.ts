import { createHmac, hash, hkdfSync } from 'node:crypto';
import { createVault, type Vault } from '../kernel/encryption.ts';
import { GatewayError } from '../kernel/errors.ts';
import type { Actor } from '../kernel/operation.ts';

/** Refuses what is no header value people can mean. */
export function requireIdempotencyKey(key: string): void {
  if (/^[\x21-\x7e](?:[\x20-\x7e]{0,253}[\x21-\x7e])?$/.test(key)) return;
  throw new GatewayError(
    'invalid',
    'invalid_idempotency_key',
    'The Idempotency-Key must be 1 to 255 printable ASCII characters',
    { param: 'idempotency-key', hint: 'Use a new UUID for each change: uuidgen' },
  );
}

/**
 * Who sends a change again. All operators are one: a script on the gateway's own machine goes through the socket while a
 * daemon is up and to the database while none is, and must not be taken for two callers.
 */
function callerName(actor: Actor): readonly string[] {
  if (actor.type === 'key') return ['key', actor.keyId];
  if (actor.type === 'jwt') {
    // Tokens need no subject, and whom they stand for may be said elsewhere in them: its answers are nobody else's.
    const { issuer, subject, userId, teamId, organizationId, workload } = actor;
    return ['jwt', ...[issuer, subject, userId, teamId, organizationId, workload?.name].map((part) => part ?? '')];
  }
  return actor.type === 'master' ? ['master'] : ['operator'];
}

/** The name of the row. As JSON, because with a plain separator two callers could be made to look like one. */
export const rowId = (actor: Actor, key: string): string =>
  hash('sha256', JSON.stringify(['gatewayctl idempotency', ...callerName(actor), key]), 'hex');

/** What follows from a key and the salt of its row, and from nothing that is stored. */
export interface Derived {
  /** Opens the stored answer. */
  readonly vault: Vault;
  /** Tells a request again without keeping it: its body may hold a secret, so an ordinary hash could be guessed at. */
  readonly fingerprint: (request: string) => string;
}

export function derive(key: string, salt: string): Derived {
  const keyFor = (use: string) => Buffer.from(hkdfSync('sha256', key, salt, `gatewayctl idempotency ${use}`, 32));
  return {
    vault: createVault(keyFor('answer'), 'idempotent-answer'),
    fingerprint: (request) => createHmac('sha256', keyFor('request')).update(request).digest('hex'),
  };
}
