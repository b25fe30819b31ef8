import { randomBytes } from 'node:crypto';
import type { EntityManager } from '@mikro-orm/postgresql';
import { SCHEMA } from '../db/schema.ts';
import type { SealedPlace, Vault } from '../kernel/encryption.ts';
import { GatewayError } from '../kernel/errors.ts';
import { type AuditMac, createAuditMac } from './audit.mac.ts';

const keyBytes = 32;

/** More than there are ever going to be: one for each encryption key that was lost. */
const keysAtMost = 100;

/**
 * The keys that chains are made with. They are random, and kept in the database as the vault seals them: when the
 * encryption key is changed they are wrapped anew, and what was chained before can still be checked.
 */
export class AuditKeys {
  readonly #vault: Vault;
  #mac: AuditMac | undefined;

  /** @param vault without a key, entries are chained without one */
  constructor(vault: Vault) {
    this.#vault = vault;
  }

  /** With the key for new entries. The first one makes it, in its own transaction. */
  async forWriting(em: EntityManager): Promise<AuditMac> {
    const known = this.#mac ?? (await this.forChecking(em));
    const isWritable = known.keyId !== '' || this.#vault.keyId === undefined;
    // A key that is made here may yet be rolled back, so it is only remembered once it is read.
    if (isWritable) return (this.#mac = known);
    // Of several that come first at once, one makes it.
    await em.execute(`select pg_advisory_xact_lock(hashtext('gatewayctl audit key'))`);
    const made = await this.forChecking(em);
    return made.keyId === '' ? this.#make(em) : made;
  }

  /** With every key there is and that opens; the last one made first. */
  async forChecking(em: EntityManager): Promise<AuditMac> {
    if (this.#vault.keyId === undefined) return createAuditMac([]);
    const rows = await em.execute<{ id: string; sealed: string }[]>(
      `select id, sealed from ${SCHEMA}.audit_keys order by created_at desc, id limit ${keysAtMost}`,
    );
    return createAuditMac(
      rows.flatMap(({ id, sealed }) => {
        const key = this.#open(id, sealed);
        return key ? [{ id, key }] : [];
      }),
    );
  }

  /** One that does not open was sealed with a key that is gone, or is forged: its chains are told of by `verify`. */
  #open(id: string, sealed: string): Buffer | undefined {
    try {
      return Buffer.from(this.#vault.open(sealed, placeOf(id)), 'base64');
    } catch (error) {
      if (error instanceof GatewayError) return undefined;
      throw error;
    }
  }

  async #make(em: EntityManager): Promise<AuditMac> {
    const id = randomBytes(4).toString('hex');
    const key = randomBytes(keyBytes);
    await em.execute(`insert into ${SCHEMA}.audit_keys (id, sealed, created_at) values (?, ?, clock_timestamp())`, [
      id,
      this.#vault.seal(key.toString('base64'), placeOf(id)),
    ]);
    return createAuditMac([{ id, key }]);
  }
}

const placeOf = (id: string): SealedPlace => ({ table: 'audit_keys', column: 'sealed', row: id });
