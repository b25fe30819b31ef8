import { randomUUID } from 'node:crypto';
import { type FilterQuery, LockMode, UniqueConstraintViolationException } from '@mikro-orm/core';
import type { AuditService } from '../audit/audit.service.ts';
import { announce } from '../db/notify.ts';
import { SCHEMA } from '../db/schema.ts';
import { createStamp, given, updateStamp, type Work } from '../db/work.ts';
import { after, type Duration } from '../kernel/duration.ts';
import { GatewayError } from '../kernel/errors.ts';
import { requireChange } from '../kernel/fields.ts';
import { offsetOf, type Page } from '../kernel/page.ts';
import { generateSecret, hashSecret, maskSecret } from '../kernel/secret.ts';
import type { TeamService } from '../teams/team.service.ts';
import type { UserService } from '../users/user.service.ts';
import { Key, RetiredToken } from './key.entity.ts';
import { aliasTaken, secretTaken, teamKeysHeld, unknownKey } from './key.errors.ts';
import { findKey, maySee } from './key.lookup.ts';
import { describeKey, encodeKey } from './key.wire.ts';

type Maybe<T> = T | null | undefined;

interface Grants {
  keyAlias?: Maybe<string>;
  teamId?: Maybe<string>;
  userId?: Maybe<string>;
  organizationId?: Maybe<string>;
  maxBudget?: Maybe<bigint>;
  duration?: Duration | null | undefined;
  expires?: Date | undefined;
}

export interface NewKey extends Grants {
  models: string[];
  metadata: Record<string, unknown>;
  blocked: boolean;
  key?: Maybe<string>;
}

export interface KeyChanges extends Grants {
  models?: string[] | undefined;
  metadata?: Record<string, unknown> | undefined;
  blocked?: boolean | undefined;
}

export interface KeyFilter extends Page {
  teamId?: string | undefined;
  userId?: string | undefined;
  organizationId?: string | undefined;
  keyAlias?: string | undefined;
  keyHash?: string | undefined;
  sortBy: 'created_at' | 'key_alias';
  sortOrder: 'asc' | 'desc';
}

export class KeyService {
  readonly #work: Work;
  readonly #audit: AuditService;
  readonly #teams: TeamService;
  readonly #users: UserService;

  constructor(work: Work, { audit, teams, users }: { audit: AuditService; teams: TeamService; users: UserService }) {
    this.#work = work;
    this.#audit = audit;
    this.#teams = teams;
    this.#users = users;
  }

  /** @throws GatewayError 400 when the alias or the given key is taken, 404 when a team or organization is not there */
  async generate(fields: NewKey): Promise<{ key: Key; secret: string }> {
    const secret = fields.key ?? generateSecret('virtual');
    const key = this.#work.em.create(Key, {
      id: randomUUID(),
      token: hashSecret(secret),
      name: maskSecret(secret),
      alias: fields.keyAlias ?? null,
      teamId: null,
      userId: null,
      organizationId: fields.organizationId ?? null,
      models: fields.models,
      metadata: fields.metadata,
      maxBudget: fields.maxBudget ?? null,
      spend: 0n,
      blocked: fields.blocked,
      expiresAt: this.#expiry(fields) ?? null,
      rotationCount: 0,
      gen: 1n,
      ...createStamp(this.#work),
    });
    await this.#assign(key, fields);
    await this.#flush(key);
    await this.#changed(key, 'created');
    return { key, secret };
  }

  async update(reference: string, changes: KeyChanges): Promise<Key> {
    requireChange(changes);
    const key = await this.#lock(reference);
    const before = this.#encode(key);
    const { keyAlias: alias, teamId, userId, duration, expires, ...rest } = changes;
    this.#work.em.assign(key, given({ alias, ...rest, expiresAt: this.#expiry({ duration, expires }) }));
    await this.#assign(key, { teamId, userId });
    this.#touch(key);
    await this.#flush(key);
    await this.#changed(key, 'updated', before);
    return key;
  }

  async setBlocked(reference: string, blocked: boolean): Promise<Key> {
    const key = await this.#lock(reference);
    const before = this.#encode(key);
    key.blocked = blocked;
    this.#touch(key);
    await this.#changed(key, blocked ? 'blocked' : 'unblocked', before);
    return key;
  }

  /** Replaces the secret and keeps everything else. The old secret works until its grace ends; without one, no longer. */
  async regenerate(
    reference: string,
    { grace, newKey, ...expiry }: { grace?: Duration | undefined; newKey?: Maybe<string> } & Grants,
  ): Promise<{ key: Key; secret: string }> {
    const { em, now } = this.#work;
    const key = await this.#lock(reference);
    const before = this.#encode(key);
    const secret = newKey ?? generateSecret('virtual');
    const old = key.token;
    const forgotten = await this.#forgetExpired(key);
    // Without a grace it is a leak that is being stopped: no earlier secret may outlive this.
    const ended = grace ? [] : await this.#endRetired(key);
    if (grace) em.create(RetiredToken, { token: old, keyId: key.id, expiresAt: after(now, grace) });
    em.assign(key, { token: hashSecret(secret), name: maskSecret(secret), rotationCount: key.rotationCount + 1 });
    em.assign(key, given({ expiresAt: this.#expiry(expiry) }));
    this.#touch(key);
    await this.#flush(key);
    await this.#changed(key, 'rotated', before, [old, ...forgotten, ...ended]);
    return { key, secret };
  }

  /** All or none: when one is not there, nothing is deleted. */
  async delete(references: readonly string[]): Promise<Key[]> {
    const ids = new Set<string>();
    for (const reference of references) ids.add((await this.get(reference)).id);
    if (ids.size === 0) {
      throw new GatewayError('invalid', 'invalid_request_error', 'keys: no key was named', { param: 'keys' });
    }
    const keys: Key[] = [];
    // In one order, so that two deletions cannot lock each other out.
    for (const id of [...ids].toSorted()) keys.push(await this.#lock(id));
    await this.#remove(keys);
    return keys;
  }

  /** Deletes all keys of an owner and says which, by hash. */
  async removeOf(owner: { teamId: string } | { userId: string } | { organizationId: string }): Promise<string[]> {
    const keys = await this.#work.em.find(Key, owner, { lockMode: LockMode.PESSIMISTIC_WRITE, orderBy: { id: 'asc' } });
    await this.#remove(keys);
    return keys.map(({ token }) => token);
  }

  /** Refuses when the user holds keys of a team: whoever works with them would stand still. */
  async refuseTeamKeysOf(userId: string): Promise<void> {
    const keys = await this.#work.em.find(Key, { userId, teamId: { $ne: null } }, { limit: 20 });
    if (keys.length === 0) return;
    throw teamKeysHeld(userId, keys);
  }

  /** What they spent stays in the ledger. */
  async #remove(keys: readonly Key[]): Promise<void> {
    for (const key of keys) {
      await this.#changed(key, 'deleted', this.#encode(key));
      this.#work.em.remove(key);
    }
    await this.#work.em.flush();
  }

  /** The key itself, its hash, the first eight or more digits of its hash, its lasting id or its alias. */
  async get(reference: string): Promise<Key> {
    const key = await findKey(this.#work.em, reference);
    // Who may not see a key learns nothing from trying: the answer is that of a key that is not there.
    if (key && maySee(this.#work.authority, key)) return key;
    throw unknownKey(reference);
  }

  /** The key the caller came with. */
  async own(): Promise<Key> {
    const { actor } = this.#work;
    if (actor.type === 'key') return this.get(actor.hash);
    throw new GatewayError('invalid', 'invalid_request_error', 'Which key? You did not come with a virtual key', {
      param: 'key',
      hint: 'Name a key by its alias or id.',
    });
  }

  async list({ page, size, sortBy, sortOrder, ...filter }: KeyFilter): Promise<{ keys: Key[]; total: number }> {
    const team = filter.teamId === undefined ? undefined : (await this.#teams.get(filter.teamId)).id;
    const where: FilterQuery<Key> = given({
      teamId: team,
      userId: filter.userId,
      organizationId: filter.organizationId,
      alias: filter.keyAlias,
      token: filter.keyHash,
    });
    const orderBy = { [sortBy === 'key_alias' ? 'alias' : 'createdAt']: sortOrder, id: 'asc' as const };
    const [keys, total] = await this.#work.em.findAndCount(Key, where, {
      orderBy,
      limit: size,
      offset: offsetOf({ page, size }),
    });
    return { keys, total };
  }

  async of(owner: { teamId: string } | { userId: string }, limit: number): Promise<Key[]> {
    return this.#work.em.find(Key, owner, { orderBy: { createdAt: 'desc', id: 'asc' }, limit });
  }

  /** Gives a key its team and user, by whatever names they go. */
  async #assign(key: Key, { teamId, userId }: { teamId?: Maybe<string>; userId?: Maybe<string> }): Promise<void> {
    if (teamId !== undefined) key.teamId = teamId === null ? null : (await this.#teams.get(teamId)).id;
    if (userId !== undefined) key.userId = userId === null ? null : (await this.#users.getOrCreate(userId)).id;
    if (!key.teamId || !key.userId || (teamId === undefined && userId === undefined)) return;
    if (await this.#teams.isMember(key.teamId, key.userId)) return;
    throw new GatewayError('invalid', 'bad_request_error', `User=${key.userId} not assigned to team=${key.teamId}`, {
      param: 'user_id',
      hint: `Add the user first: gatewayctl team member add ${key.teamId} ${key.userId}`,
    });
  }

  /** `undefined` when neither was given, so that an update leaves what there is. */
  #expiry({ duration, expires }: Pick<Grants, 'duration' | 'expires'>): Date | null | undefined {
    if (duration !== undefined && duration !== null && expires !== undefined) {
      throw new GatewayError('invalid', 'invalid_request_error', 'Both duration and expires were given', {
        param: 'expires',
        hint: 'Give one of them.',
      });
    }
    if (expires) return expires;
    return duration ? after(this.#work.now, duration) : duration;
  }

  /**
   * Deletes the retired secrets whose grace has ended, and says which: they are announced too. By the database's clock, as
   * the look-up goes: a secret that is over here may live on in a daemon whose clock is behind.
   */
  async #forgetExpired({ id }: Key): Promise<string[]> {
    const rows: { token: string }[] = await this.#work.em.execute(
      `delete from ${SCHEMA}.retired_tokens where key_id = ? and expires_at <= now() returning token`,
      [id],
    );
    return rows.map(({ token }) => token);
  }

  async #endRetired({ id }: Key): Promise<string[]> {
    const retired = await this.#work.em.find(RetiredToken, { keyId: id });
    for (const each of retired) this.#work.em.remove(each);
    return retired.map(({ token }) => token);
  }

  #encode(key: Key): Record<string, unknown> {
    return encodeKey(describeKey(key, this.#work.now));
  }

  #touch(key: Key): void {
    this.#work.em.assign(key, { gen: key.gen + 1n, ...updateStamp(this.#work) });
  }

  async #flush(key: Key): Promise<void> {
    try {
      await this.#work.em.flush();
    } catch (cause) {
      if (!(cause instanceof UniqueConstraintViolationException)) throw cause;
      throw /keys_alias/.test(cause.message) ? aliasTaken(key.alias ?? '', cause) : secretTaken(cause);
    }
  }

  async #changed(
    key: Key,
    action: 'created' | 'updated' | 'deleted' | 'blocked' | 'unblocked' | 'rotated',
    before?: unknown,
    oldHashes: readonly string[] = [],
  ): Promise<void> {
    const forgotten = await this.#forgetExpired(key);
    const retired = await this.#work.em.find(RetiredToken, { keyId: key.id });
    const hashes = new Set([key.token, ...oldHashes, ...forgotten, ...retired.map(({ token }) => token)]);
    const isNew = action === 'created' ? true : undefined;
    await announce(this.#work, { entity: 'key', id: key.id, hashes: [...hashes], isNew });
    const afterwards = action === 'deleted' ? undefined : this.#encode(key);
    this.#audit.record({ action, object: 'key', id: key.id, before, after: afterwards });
  }

  async #lock(reference: string): Promise<Key> {
    const { id } = await this.get(reference);
    return this.#work.em.findOneOrFail(Key, { id }, { lockMode: LockMode.PESSIMISTIC_WRITE, refresh: true });
  }
}
