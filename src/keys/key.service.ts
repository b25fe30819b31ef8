import { randomUUID } from 'node:crypto';
import type { AuditService } from '../audit/audit.service.ts';
import { type Attempt, attempt } from '../db/savepoint.ts';
import { createStamp, type Work } from '../db/work.ts';
import { requireChange } from '../kernel/fields.ts';
import { newLimits } from '../kernel/limits.ts';
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
import { requireIncrease } from './key.increase.ts';
import { budgetsOf, type SharedBudget } from './key.limits.ts';
import { KeyLookup } from './key.lookup.ts';
import { KeyOwners, type MakingRoute } from './key.owners.ts';
import { withEdits } from './key.models.ts';
import type { Standing } from './key.policy.ts';
import { type KeyOwner, KeyRemoval } from './key.removal.ts';
import { KeyReplacement } from './key.replacement.ts';
import type { KeyRules } from './key.rules.ts';
import { KeySecrets } from './key.secrets.ts';
import { KeySpend } from './key.spend.ts';
import { KeyWriting } from './key.writing.ts';

export type BulkOutcome = Attempt<Key> & { readonly reference: string };

export interface WithSecret {
  readonly key: Key;
  readonly secret: string;
}

export class KeyService {
  readonly #work: Work;
  readonly #rules: KeyRules;
  readonly #access: KeyAccess;
  readonly #checks: KeyChecks;
  readonly #secrets: KeySecrets;
  readonly #lookup: KeyLookup;
  readonly #owners: KeyOwners;
  readonly #removal: KeyRemoval;
  readonly #replacement: KeyReplacement;
  readonly #spend: KeySpend;
  readonly #writing: KeyWriting;

  constructor(
    work: Work,
    parts: { audit: AuditService; teams: TeamService; users: UserService; rules: KeyRules; access: KeyAccess },
  ) {
    const { audit, rules, access } = parts;
    this.#work = work;
    this.#rules = rules;
    this.#access = access;
    this.#checks = new KeyChecks(work, access);
    this.#secrets = new KeySecrets(work);
    this.#lookup = new KeyLookup(work, access);
    this.#owners = new KeyOwners(work, parts);
    this.#spend = new KeySpend(work);
    const secrets = this.#secrets;
    const writing = new KeyWriting(work, { audit, secrets, spend: this.#spend });
    this.#removal = new KeyRemoval(work, { access, audit, lookup: this.#lookup, secrets, writing });
    this.#replacement = new KeyReplacement(work, { rules, secrets, writing });
    this.#writing = writing;
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
    if (fields.spend !== undefined) await this.#spend.set(key, { to: fields.spend, total: 0n });
    await this.#settle(key, { since: now, isMoved: false });
    if (standing !== 'admin') {
      await this.#checks.requireGrant(key, everyLimit);
      await this.#checks.requireWithinOwn(key);
    }
    await this.#writing.made(key, { isChosen: Boolean(fields.key) });
    return { key, secret };
  }

  async update(reference: string, asked: KeyFields & ModelEdits): Promise<Key> {
    requireChange(asked);
    const key = await this.#lookup.lock(reference);
    const standing = await this.#access.requireChange(key, { reference, route: '/key/update' });
    const before = await this.#writing.encode(key);
    await this.#apply(key, withEdits(key.models, asked), standing);
    await this.#writing.changed(key, 'updated', before);
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
    const before = await this.#writing.encode(key);
    key.blocked = blocked;
    await this.#writing.changed(key, blocked ? 'blocked' : 'unblocked', before);
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
    const before = await this.#writing.encode(key);
    if (Object.values(changes).some((value) => value !== undefined)) await this.#apply(key, changes, standing);
    if (standing !== 'admin') await this.#checks.requireWithinOwn(key);
    const secret = newKey ?? generateSecret('virtual');
    await this.#replacement.replace(key, { secret, grace: gracePeriod, before });
    if (newKey) await this.#secrets.requireUnused(key.token);
    return { key, secret };
  }

  /** @see KeyReplacement.rotateDue */
  rotateDue(keep: (key: Key, secret: string) => Promise<void>): Promise<Key | undefined> {
    return this.#replacement.rotateDue(keep);
  }

  /** All or none: when one is not there, nothing is deleted. */
  delete(references: readonly string[]): Promise<Key[]> {
    return this.#removal.delete(references);
  }

  /** Deletes all keys of an owner, whose own deletion was allowed, and says which, by hash. */
  removeOf(owner: KeyOwner): Promise<string[]> {
    return this.#removal.removeOf(owner);
  }

  /** The keys a user holds in a team become keys of nobody in it. */
  leaveToTeam(held: { teamId: string; userId: string }): Promise<void> {
    return this.#removal.leaveToTeam(held);
  }

  /** Keys that name an organization beside their team name the team's: the one the team has left would go on paying. */
  followTeam(team: { id: string; organizationId?: string | null | undefined }): Promise<void> {
    return this.#removal.followTeam(team);
  }

  /** Refuses when the user holds keys of a team: whoever works with them would stand still. */
  refuseTeamKeysOf(userId: string): Promise<void> {
    return this.#removal.refuseTeamKeysOf(userId);
  }

  /** @param to nano-dollars, at most what counts against the budget and what the budget is */
  async resetSpend(reference: string, to: bigint): Promise<{ key: Key; previous: bigint }> {
    const key = await this.#lookup.lock(reference);
    await this.#access.requireManager(key, { reference, what: 'reset the spend of' });
    const { maxBudget } = await this.#checks.limits(key);
    const before = await this.#writing.encode(key);
    const previous = await this.#spend.lower(key, { to, maxBudget });
    await this.#writing.changed(key, 'updated', before);
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

  /** As they travel, with what they have spent in the present periods of their budgets. */
  describe(keys: readonly Key[]): ReturnType<KeySpend['describe']> {
    return this.#spend.describe(keys);
  }

  describeOne(key: Key): ReturnType<KeySpend['describeOne']> {
    return this.#spend.describeOne(key);
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
    const { teamId: oldTeam, organizationId: oldOrganization, spend: total, tempBudgetExpiry } = key;
    em.assign(key, columnsOf(changes, now));
    await this.#requireIncrease(key, changes, tempBudgetExpiry);
    if (changes.spend !== undefined) await this.#spend.set(key, { to: changes.spend, total });
    if (changes.organizationId !== undefined) key.organizationId = changes.organizationId;
    await this.#owners.move(key, changes, standing);
    const isMoved = key.teamId !== oldTeam || key.organizationId !== oldOrganization;
    await this.#settle(key, { since: key.lastRotationAt ?? now, isMoved: key.teamId !== oldTeam });
    if (before) await this.#checks.requireNarrower(key, before);
    if (standing !== 'admin') await this.#checks.requireGrant(key, isMoved ? everyLimit : changedLimits(changes));
  }

  async #requireIncrease(key: Key, changes: KeyFields, before: Date | null | undefined): Promise<void> {
    const isChanged = changes.tempBudgetIncrease !== undefined || changes.tempBudgetExpiry !== undefined;
    // A budget that is cleared leaves nothing to raise, and then nothing is refused.
    if (!isChanged && (changes.maxBudget === undefined || changes.maxBudget === null)) return;
    const { maxBudget } = await this.#checks.limits(key);
    requireIncrease(key, { maxBudget, bound: this.#rules.largestBudget, before, now: this.#work.now });
  }

  /** What follows from the fields, and what must hold of them together, whoever set them. */
  async #settle(key: Key, { since, isMoved }: { since: Date; isMoved: boolean }): Promise<void> {
    this.#rules.requireRotation({ autoRotate: key.autoRotate, rotationInterval: key.rotationInterval ?? null });
    key.keyRotationAt = nextRotation(key, since);
    if (isMoved && key.teamId) await this.#checks.requireFits(key, key.teamId);
    await this.#checks.requireThroughput(key);
  }
}
