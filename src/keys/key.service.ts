import { randomUUID } from 'node:crypto';
import { LockMode, UniqueConstraintViolationException } from '@mikro-orm/core';
import type { AuditService } from '../audit/audit.service.ts';
import { announce } from '../db/notify.ts';
import { type Attempt, attempt } from '../db/savepoint.ts';
import { SCHEMA } from '../db/schema.ts';
import { createStamp, updateStamp, type Work } from '../db/work.ts';
import { GatewayError } from '../kernel/errors.ts';
import { requireChange } from '../kernel/fields.ts';
import { newLimits } from '../kernel/limits.ts';
import { toDollars } from '../kernel/money.ts';
import { generateSecret, hashSecret, maskSecret } from '../kernel/secret.ts';
import type { TeamService } from '../teams/team.service.ts';
import type { UserService } from '../users/user.service.ts';
import type { KeyAccess } from './key.access.ts';
import {
  blank,
  changedLimits,
  columnsOf,
  everyLimit,
  KeyChecks,
  type KeyFields,
  type ModelEdits,
  nextRotation,
  requireFields,
  type RotationFields,
  withoutSame,
} from './key.changes.ts';
import { Key } from './key.entity.ts';
import { aliasTaken, notYourKey, secretTaken, teamKeysHeld } from './key.errors.ts';
import { budgetsOf, type SharedBudget } from './key.limits.ts';
import { KeyLookup } from './key.lookup.ts';
import { KeyOwners, type MakingRoute } from './key.owners.ts';
import { withEdits } from './key.models.ts';
import type { Standing } from './key.policy.ts';
import { KeyRemoval } from './key.removal.ts';
import type { KeyRules } from './key.rules.ts';
import { KeySecrets } from './key.secrets.ts';
import { isRotationDue } from './key.state.ts';
import { describeKey, encodeKey } from './key.wire.ts';

export type BulkOutcome = Attempt<Key> & { readonly reference: string };

export interface WithSecret {
  readonly key: Key;
  readonly secret: string;
}

/** All keys of a team, a user or an organization, or of a user in a team. */
export interface KeyOwner {
  readonly teamId?: string;
  readonly userId?: string;
  readonly organizationId?: string;
}

export class KeyService {
  readonly #work: Work;
  readonly #audit: AuditService;
  readonly #rules: KeyRules;
  readonly #access: KeyAccess;
  readonly #checks: KeyChecks;
  readonly #secrets: KeySecrets;
  readonly #lookup: KeyLookup;
  readonly #owners: KeyOwners;
  readonly #removal: KeyRemoval;

  constructor(
    work: Work,
    parts: { audit: AuditService; teams: TeamService; users: UserService; rules: KeyRules; access: KeyAccess },
  ) {
    this.#work = work;
    this.#audit = parts.audit;
    this.#rules = parts.rules;
    this.#access = parts.access;
    this.#checks = new KeyChecks(work, parts.access);
    this.#secrets = new KeySecrets(work);
    this.#lookup = new KeyLookup(work, parts.access);
    this.#owners = new KeyOwners(work, parts);
    this.#removal = new KeyRemoval(work, { ...parts, secrets: this.#secrets });
  }

  /** @throws GatewayError 400 when the alias or the given key is taken, 404 when a team or organization is not there */
  async generate(asked: KeyFields, route: MakingRoute = '/key/generate'): Promise<WithSecret> {
    const isServiceAccount = route === '/key/service-account/generate';
    const completed = await this.#owners.completed(isServiceAccount ? { ...asked, userId: null } : asked);
    const fields = this.#rules.complete(completed);
    this.#rules.requireAlias(fields.keyAlias);
    const secret = fields.key ?? generateSecret('virtual');
    const { owners, standing } = await this.#owners.ofNew(fields, route);
    if (standing !== 'admin')
      requireFields(isServiceAccount ? { ...asked, userId: undefined } : asked, 'create', standing);
    const { em, now } = this.#work;
    const key = em.create(Key, {
      id: randomUUID(),
      token: hashSecret(secret),
      name: maskSecret(secret),
      ...owners,
      ...newLimits({}),
      ...blank(),
      isServiceAccount,
      ...columnsOf(fields, now),
      ...createStamp(this.#work),
    });
    await this.#settle(key, { since: now, isMoved: false });
    if (standing !== 'admin') {
      await this.#checks.requireGrant(key, everyLimit);
      await this.#checks.requireWithinOwn(key);
    }
    await this.#flush(key);
    // Nobody can have asked for a generated secret before; of a chosen one a daemon may know that it was none.
    if (fields.key) {
      await this.#secrets.requireUnused(key.token);
      await announce(this.#work, { entity: 'key', id: key.id, hashes: [key.token], isNew: true });
    }
    this.#audit.record({ action: 'created', object: 'key', id: key.id, after: this.#encode(key) });
    return { key, secret };
  }

  async update(reference: string, asked: KeyFields & ModelEdits): Promise<Key> {
    requireChange(asked);
    const key = await this.#lookup.lock(reference);
    const standing = await this.#access.requireChange(key, { reference, route: '/key/update' });
    const before = this.#encode(key);
    await this.#apply(key, withEdits(key.models, asked), standing);
    await this.#changed(key, 'updated', before);
    return key;
  }

  /**
   * Changes several keys; one that cannot be changed does not keep the others from it.
   *
   * @param updates each with how its key is named
   */
  async updateEach(updates: readonly (KeyFields & { key: string })[]): Promise<BulkOutcome[]> {
    const outcomes: BulkOutcome[] = [];
    for (const { key: reference, ...changes } of updates) {
      outcomes.push({ reference, ...(await attempt(this.#work.em, () => this.update(reference, changes))) });
    }
    return outcomes;
  }

  async setBlocked(reference: string, blocked: boolean): Promise<Key> {
    const key = await this.#lookup.lock(reference);
    await this.#access.requireChange(key, { reference, route: blocked ? '/key/block' : '/key/unblock' });
    const before = this.#encode(key);
    key.blocked = blocked;
    await this.#changed(key, blocked ? 'blocked' : 'unblocked', before);
    return key;
  }

  /** Replaces the secret and keeps everything that is not changed as well. The old secret works until its grace ends. */
  async regenerate(
    reference: string,
    { gracePeriod, newKey, ...changes }: KeyFields & RotationFields,
  ): Promise<WithSecret> {
    const key = await this.#lookup.lock(reference);
    const standing = await this.#access.requireChange(key, { reference, route: '/key/regenerate' });
    await this.#access.requireSecret(key, standing);
    requireFields({ newKey }, 'change', standing);
    const before = this.#encode(key);
    if (Object.values(changes).some((value) => value !== undefined)) await this.#apply(key, changes, standing);
    if (standing !== 'admin') await this.#checks.requireWithinOwn(key);
    const secret = newKey ?? generateSecret('virtual');
    await this.replaceSecret(key, { secret, grace: gracePeriod, before });
    if (newKey) await this.#secrets.requireUnused(key.token);
    return { key, secret };
  }

  /** The row is locked. With a grace of nothing the old secret and all before it end now. */
  async replaceSecret(
    key: Key,
    {
      secret,
      grace,
      before = this.#encode(key),
    }: { secret: string; grace: RotationFields['gracePeriod']; before?: unknown },
  ): Promise<void> {
    const { now } = this.#work;
    const old = await this.#secrets.retire(key.id, key.token, grace);
    this.#work.em.assign(key, {
      token: hashSecret(secret),
      name: maskSecret(secret),
      rotationCount: key.rotationCount + 1,
      lastRotationAt: now,
      keyRotationAt: nextRotation(key, now),
    });
    await this.#changed(key, 'rotated', before, old);
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
    await this.replaceSecret(key, { secret, grace: this.#rules.rotationGrace });
    return key;
  }

  /** All or none: when one is not there, nothing is deleted. */
  async delete(references: readonly string[]): Promise<Key[]> {
    if (references.length === 0) {
      throw new GatewayError('invalid', 'invalid_request_error', 'keys: no key was named', { param: 'keys' });
    }
    const keys = await this.#lookup.lockAll(references);
    for (const { key, reference } of keys) await this.#access.requireChange(key, { reference, route: '/key/delete' });
    const deleted = keys.map(({ key }) => key);
    await this.#removal.remove(deleted);
    return deleted;
  }

  /** Deletes all keys of an owner, whose own deletion was allowed, and says which, by hash. */
  async removeOf(owner: KeyOwner): Promise<string[]> {
    const keys = await this.#lockOf(owner);
    await this.#removal.remove(keys);
    return keys.map(({ token }) => token);
  }

  /** The keys a user holds in a team become keys of nobody in it. */
  async leaveToTeam(held: { teamId: string; userId: string }): Promise<void> {
    for (const key of await this.#lockOf(held)) {
      const before = this.#encode(key);
      key.userId = null;
      await this.#changed(key, 'updated', before);
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
      const before = this.#encode(key);
      key.organizationId = organizationId;
      await this.#changed(key, 'updated', before);
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

  /** @param to nano-dollars, at most what was spent and what may be spent */
  async resetSpend(reference: string, to: bigint): Promise<{ key: Key; previous: bigint }> {
    const key = await this.#lookup.lock(reference);
    await this.#access.requireManager(key, { reference, what: 'reset the spend of' });
    const { maxBudget } = await this.#checks.limits(key);
    const most = maxBudget !== null && maxBudget < key.spend ? maxBudget : key.spend;
    if (to > most) {
      throw new GatewayError('invalid', 'bad_request_error', `reset_to must be at most ${toDollars(most)}`, {
        param: 'reset_to',
        hint: 'Spend can be lowered to what was spent and to the budget, and not be raised.',
      });
    }
    const before = this.#encode(key);
    const previous = key.spend;
    key.spend = to;
    await this.#changed(key, 'updated', before);
    return { key, previous };
  }

  /** The key itself, its hash, the first eight or more digits of its hash, its lasting id or its alias. */
  get(reference: string): Promise<Key> {
    return this.#lookup.get(reference);
  }

  /** Those of several keys that are there and may be seen. */
  some(references: readonly string[]): Promise<Key[]> {
    return this.#lookup.some(references);
  }

  /** The key the caller came with. */
  own(): Promise<Key> {
    return this.#lookup.own();
  }

  /** The shared budgets of keys, by id. */
  budgets(keys: readonly Key[]): Promise<ReadonlyMap<string, SharedBudget>> {
    return budgetsOf(this.#work.em, keys);
  }

  async of(owner: KeyOwner, limit: number): Promise<Key[]> {
    return this.#work.em.find(Key, owner, { orderBy: { createdAt: 'desc', id: 'asc' }, limit });
  }

  async #apply(key: Key, asked: KeyFields, standing: Standing): Promise<void> {
    const changes = withoutSame(key, asked);
    requireFields(changes, 'change', standing);
    this.#rules.requireKept(changes);
    this.#rules.requireAlias(changes.keyAlias);
    const { em, now } = this.#work;
    const before = standing === 'holder' ? await this.#checks.limits(key) : undefined;
    const { teamId: oldTeam, organizationId: oldOrganization } = key;
    em.assign(key, columnsOf(changes, now));
    if (changes.organizationId !== undefined) key.organizationId = changes.organizationId;
    await this.#owners.move(key, changes, standing);
    const isMoved = key.teamId !== oldTeam || key.organizationId !== oldOrganization;
    await this.#settle(key, { since: key.lastRotationAt ?? now, isMoved: key.teamId !== oldTeam });
    if (before) await this.#checks.requireNarrower(key, before);
    if (standing !== 'admin') await this.#checks.requireGrant(key, isMoved ? everyLimit : changedLimits(changes));
  }

  /** What follows from the fields, and what must hold of them together, whoever set them. */
  async #settle(key: Key, { since, isMoved }: { since: Date; isMoved: boolean }): Promise<void> {
    this.#rules.requireRotation({ autoRotate: key.autoRotate, rotationInterval: key.rotationInterval ?? null });
    key.keyRotationAt = nextRotation(key, since);
    if (isMoved && key.teamId) await this.#checks.requireFits(key, key.teamId);
    await this.#checks.requireThroughput(key);
  }

  #encode(key: Key): Record<string, unknown> {
    return encodeKey(describeKey(key, this.#work.now));
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
    action: 'updated' | 'blocked' | 'unblocked' | 'rotated',
    before: unknown,
    oldHashes: readonly string[] = [],
  ): Promise<void> {
    this.#work.em.assign(key, { gen: key.gen + 1n, ...updateStamp(this.#work) });
    await this.#flush(key);
    const retired = await this.#secrets.retired([key.id]);
    const hashes = new Set([key.token, ...oldHashes, ...(retired.get(key.id) ?? [])]);
    await announce(this.#work, { entity: 'key', id: key.id, hashes: [...hashes] });
    this.#audit.record({ action, object: 'key', id: key.id, before, after: this.#encode(key) });
  }
}
