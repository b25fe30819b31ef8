import type { AuditService } from '../audit/audit.service.ts';
import { announceAll } from '../db/notify.ts';
import { actorName, type Work } from '../db/work.ts';
import type { KeyAccess } from './key.access.ts';
import { DeletedKey, type Key } from './key.entity.ts';
import type { KeySecrets } from './key.secrets.ts';
import { describeKey, encodeKey } from './key.wire.ts';

/** Deletes keys, however many, in a handful of statements. */
export class KeyRemoval {
  readonly #work: Work;
  readonly #audit: AuditService;
  readonly #secrets: KeySecrets;
  readonly #access: KeyAccess;

  constructor(work: Work, { audit, secrets, access }: { audit: AuditService; secrets: KeySecrets; access: KeyAccess }) {
    this.#work = work;
    this.#audit = audit;
    this.#secrets = secrets;
    this.#access = access;
  }

  /** What they spent stays in the ledger, and what they were in a record. */
  async remove(keys: readonly Key[]): Promise<void> {
    if (keys.length === 0) return;
    const { em, now, actor, changedBy } = this.#work;
    const ids = keys.map(({ id }) => id);
    const retired = await this.#secrets.retired(ids);
    const readable = await this.#access.readable(keys);
    const hashesOf = ({ id, token }: Key) => [token, ...(retired.get(id) ?? [])];
    await this.#secrets.end(keys.flatMap((key) => hashesOf(key).map((token) => ({ key_id: key.id, token }))));
    for (const key of keys) {
      const record = encodeKey(describeKey(key, now));
      em.create(DeletedKey, {
        id: key.id,
        token: key.token,
        alias: key.alias ?? null,
        teamId: key.teamId ?? null,
        userId: key.userId ?? null,
        organizationId: key.organizationId ?? null,
        createdAt: key.createdAt,
        record,
        deletedAt: now,
        deletedBy: actorName(actor),
        deletedByApiKey: actor.type === 'key' ? actor.hash : null,
        litellmChangedBy: changedBy ?? null,
      });
      this.#audit.record({
        action: 'deleted',
        object: 'key',
        id: key.id,
        before: record,
        isHidden: !readable.has(key),
      });
      em.remove(key);
    }
    await em.flush();
    await announceAll(
      this.#work,
      keys.map((key) => ({ entity: 'key' as const, id: key.id, hashes: hashesOf(key) })),
    );
  }
}
