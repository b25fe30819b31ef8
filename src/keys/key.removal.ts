import { LockMode } from '@mikro-orm/core';
import type { AuditService } from '../audit/audit.service.ts';
import { announceAll } from '../db/notify.ts';
import { actorName, type Work } from '../db/work.ts';
import { GatewayError } from '../kernel/errors.ts';
import type { KeyAccess } from './key.access.ts';
import { DeletedKey, Key } from './key.entity.ts';
import { notYourKey, teamKeysHeld } from './key.errors.ts';
import type { KeyLookup } from './key.lookup.ts';
import type { KeySecrets } from './key.secrets.ts';
import { describeKey, encodeKey } from './key.wire.ts';
import type { KeyWriting } from './key.writing.ts';

/** All keys of a team, a user or an organization, or of a user in a team. */
export interface KeyOwner {
  readonly teamId?: string;
  readonly userId?: string;
  readonly organizationId?: string;
}

interface Parts {
  readonly access: KeyAccess;
  readonly audit: AuditService;
  readonly lookup: KeyLookup;
  readonly secrets: KeySecrets;
  readonly writing: KeyWriting;
}

/** Deletes keys, however many, in a handful of statements, and deals with those of an owner that goes. */
export class KeyRemoval {
  readonly #work: Work;
  readonly #access: KeyAccess;
  readonly #audit: AuditService;
  readonly #lookup: KeyLookup;
  readonly #secrets: KeySecrets;
  readonly #writing: KeyWriting;

  constructor(work: Work, { access, audit, lookup, secrets, writing }: Parts) {
    this.#work = work;
    this.#access = access;
    this.#audit = audit;
    this.#lookup = lookup;
    this.#secrets = secrets;
    this.#writing = writing;
  }

  /** All or none: when one is not there, nothing is deleted. */
  async delete(references: readonly string[]): Promise<Key[]> {
    if (references.length === 0) {
      throw new GatewayError('invalid', 'invalid_request_error', 'keys: no key was named', { param: 'keys' });
    }
    const keys = await this.#lookup.lockAll(references);
    for (const { key, reference } of keys) await this.#access.requireChange(key, { reference, route: '/key/delete' });
    const deleted = keys.map(({ key }) => key);
    await this.#remove(deleted);
    return deleted;
  }

  /** Deletes all keys of an owner, whose own deletion was allowed, and says which, by hash. */
  async removeOf(owner: KeyOwner): Promise<string[]> {
    const keys = await this.#lockOf(owner);
    await this.#remove(keys);
    return keys.map(({ token }) => token);
  }

  /** The keys a user holds in a team become keys of nobody in it. */
  async leaveToTeam(held: { teamId: string; userId: string }): Promise<void> {
    for (const key of await this.#lockOf(held)) {
      const before = await this.#writing.encode(key);
      key.userId = null;
      await this.#writing.changed(key, 'updated', before);
    }
  }

  /** Keys that name an organization beside their team name the team's: the one the team has left would go on paying. */
  async followTeam(team: { id: string; organizationId?: string | null | undefined }): Promise<void> {
    const organizationId = team.organizationId ?? null;
    const named = await this.#work.em.find(
      Key,
      { teamId: team.id, organizationId: { $ne: null } },
      { lockMode: LockMode.PESSIMISTIC_WRITE, orderBy: { id: 'asc' } },
    );
    for (const key of named.filter((each) => each.organizationId !== organizationId)) {
      const before = await this.#writing.encode(key);
      key.organizationId = organizationId;
      await this.#writing.changed(key, 'updated', before);
    }
  }

  /** The key of an administrator goes with a team that is deleted, and not with a membership that somebody else ends. */
  async #lockOf(owner: KeyOwner): Promise<Key[]> {
    const { em, authority } = this.#work;
    const keys = await em.find(Key, owner, { lockMode: LockMode.PESSIMISTIC_WRITE, orderBy: { id: 'asc' } });
    const { userId } = owner;
    const isHidden = userId !== undefined && !authority.isAdmin && (await this.#access.isAdministrators(userId));
    if (isHidden && keys.length > 0) throw notYourKey('delete');
    return keys;
  }

  /** Refuses when the user holds keys of a team: whoever works with them would stand still. */
  async refuseTeamKeysOf(userId: string): Promise<void> {
    const keys = await this.#work.em.find(Key, { userId, teamId: { $ne: null } }, { limit: 20 });
    if (keys.length > 0) throw teamKeysHeld(userId, keys, await this.#access.readable(keys));
  }

  /** What they spent stays in the ledger, and what they were in a record. */
  async #remove(keys: readonly Key[]): Promise<void> {
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
