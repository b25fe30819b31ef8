import { SCHEMA } from '../db/schema.ts';
import type { Work } from '../db/work.ts';
import { generateSecret, hashSecret, maskSecret } from '../kernel/secret.ts';
import { nextRotation, type RotationFields } from './key.changes.ts';
import { Key } from './key.entity.ts';
import type { KeyRules } from './key.rules.ts';
import type { KeySecrets } from './key.secrets.ts';
import { isRotationDue } from './key.state.ts';
import type { KeyWriting } from './key.writing.ts';

interface Parts {
  readonly rules: KeyRules;
  readonly secrets: KeySecrets;
  readonly writing: KeyWriting;
}

/** Gives keys new secrets. */
export class KeyReplacement {
  readonly #work: Work;
  readonly #rules: KeyRules;
  readonly #secrets: KeySecrets;
  readonly #writing: KeyWriting;

  constructor(work: Work, { rules, secrets, writing }: Parts) {
    this.#work = work;
    this.#rules = rules;
    this.#secrets = secrets;
    this.#writing = writing;
  }

  /** The row is locked. With a grace of nothing the old secret and all before it end now. */
  async replace(
    key: Key,
    { secret, grace, before }: { secret: string; grace: RotationFields['gracePeriod']; before?: unknown },
  ): Promise<void> {
    const { now } = this.#work;
    const was = before ?? (await this.#writing.encode(key));
    const old = await this.#secrets.retire(key.id, key.token, grace);
    this.#work.em.assign(key, {
      token: hashSecret(secret),
      name: maskSecret(secret),
      rotationCount: key.rotationCount + 1,
      lastRotationAt: now,
      keyRotationAt: nextRotation(key, now),
    });
    await this.#writing.changed(key, 'rotated', was, old);
  }

  /**
   * Replaces the secret of the key that has been due longest, if there is one. Several daemons never take the same.
   *
   * @param keep is given the secret before it becomes valid
   */
  async rotateDue(keep: (key: Key, secret: string) => Promise<void>): Promise<Key | undefined> {
    const { em, now } = this.#work;
    const [due] = await em.execute<{ id: string }[]>(
      `select k.id from ${SCHEMA}.keys k where ${isRotationDue}
       order by k.key_rotation_at limit 1 for update skip locked`,
      [now, now],
    );
    if (!due) return undefined;
    const key = await em.findOneOrFail(Key, { id: due.id });
    const secret = generateSecret('virtual');
    await keep(key, secret);
    await this.replace(key, { secret, grace: this.#rules.rotationGrace });
    return key;
  }
}
