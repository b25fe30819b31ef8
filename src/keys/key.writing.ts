import { UniqueConstraintViolationException } from '@mikro-orm/core';
import type { AuditService } from '../audit/audit.service.ts';
import { announce } from '../db/notify.ts';
import { updateStamp, type Work } from '../db/work.ts';
import type { Key } from './key.entity.ts';
import { aliasTaken, secretTaken } from './key.errors.ts';
import type { KeySecrets } from './key.secrets.ts';
import type { KeySpend } from './key.spend.ts';
import { encodeKey } from './key.wire.ts';

interface Parts {
  readonly audit: AuditService;
  readonly secrets: KeySecrets;
  readonly spend: KeySpend;
}

/** Writes keys down, and lets the audit log and the daemons know what became of them. */
export class KeyWriting {
  readonly #work: Work;
  readonly #audit: AuditService;
  readonly #secrets: KeySecrets;
  readonly #spend: KeySpend;

  constructor(work: Work, { audit, secrets, spend }: Parts) {
    this.#work = work;
    this.#audit = audit;
    this.#secrets = secrets;
    this.#spend = spend;
  }

  /** As the audit log keeps it. */
  async encode(key: Key): Promise<Record<string, unknown>> {
    return encodeKey(await this.#spend.describeOne(key));
  }

  /** @param isChosen whether the secret was given and not generated */
  async made(key: Key, { isChosen }: { readonly isChosen: boolean }): Promise<void> {
    await this.#flush(key);
    // Nobody can have asked for a generated secret before; of a chosen one a daemon may know that it was none.
    if (isChosen) {
      await this.#secrets.requireUnused(key.token);
      await announce(this.#work, { entity: 'key', id: key.id, hashes: [key.token], isNew: true });
    }
    this.#audit.record({ action: 'created', object: 'key', id: key.id, after: await this.encode(key) });
  }

  async #flush(key: Key): Promise<void> {
    try {
      await this.#work.em.flush();
    } catch (cause) {
      if (!(cause instanceof UniqueConstraintViolationException)) throw cause;
      throw /keys_alias/.test(cause.message) ? aliasTaken(key.alias ?? '', cause) : secretTaken(cause);
    }
  }

  async changed(
    key: Key,
    action: 'updated' | 'blocked' | 'unblocked' | 'rotated',
    before: unknown,
    oldHashes: readonly string[] = [],
  ): Promise<void> {
    this.#work.em.assign(key, { gen: key.gen + 1n, ...updateStamp(this.#work) });
    await this.#flush(key);
    const retired = await this.#secrets.retired([key.id]);
    const hashes = new Set([key.token, ...oldHashes, ...(retired.get(key.id) ?? [])]);
    await announce(this.#work, { entity: 'key', id: key.id, hashes: [...hashes] });
    this.#audit.record({ action, object: 'key', id: key.id, before, after: await this.encode(key) });
  }
}
