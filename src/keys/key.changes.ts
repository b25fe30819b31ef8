import { FlushMode } from '@mikro-orm/core';
import type { z } from 'zod';
import { SCHEMA } from '../db/schema.ts';
import { given, type Work } from '../db/work.ts';
import { after, parseDuration } from '../kernel/duration.ts';
import { GatewayError } from '../kernel/errors.ts';
import { excessOf, type GrantField, type Held, matchesPattern } from '../kernel/grant.ts';
import { keptBudgetLimits, limitChanges } from '../kernel/limits.ts';
import { routesOfKeyType } from '../kernel/route-groups.ts';
import { wireName } from '../kernel/wire.ts';
import type { KeyAccess } from './key.access.ts';
import { Key } from './key.entity.ts';
import { fieldNotAllowed, tooWide } from './key.errors.ts';
import type { keyChanges, modelEdits, newKeyFields, rotationFields } from './key.fields.ts';
import { budgetsOf, limitsOf, type KeyLimits, wideningOf } from './key.limits.ts';
import { increaseColumns, increaseOf } from './key.increase.ts';
import { keyPolicy, mayWrite, type Rule, type Standing } from './key.policy.ts';

type Values<Shape extends Record<string, z.ZodType>> = { [Name in keyof Shape]?: z.output<Shape[Name]> | undefined };

/** What can be said of a key: absent leaves or is nothing, null clears. */
export type KeyFields = Values<
  typeof newKeyFields & Pick<typeof keyChanges, 'tempBudgetIncrease' | 'tempBudgetExpiry'>
>;
export type RotationFields = Values<typeof rotationFields>;
export type ModelEdits = Values<typeof modelEdits>;

/** @throws GatewayError 403 naming the first field that a caller of this standing may not write */
export function requireFields(fields: KeyFields & RotationFields, kind: keyof Rule, standing: Standing): void {
  for (const [name, value] of Object.entries(fields)) {
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the fields of a key are the policy's names
    const rule = keyPolicy[name as keyof typeof keyPolicy];
    if (value === undefined || mayWrite(rule, kind, standing)) continue;
    const least = rule[kind] === 'admin' ? 'an administrator' : 'an administrator of its team';
    throw fieldNotAllowed(name, `only ${least} may set it`);
  }
}

/** The fields as the entity keeps them, but for whose key it is. Only what was given is in the answer. */
export function columnsOf(fields: KeyFields, now: Date) {
  const { keyAlias, models, metadata, maxBudget, spend } = fields;
  return given({
    alias: keyAlias,
    models,
    metadata,
    maxBudget,
    spend,
    ...limitChanges(fields),
    budgetId: fields.budgetId,
    ...increaseColumns(fields),
    budgetLimits: fields.budgetLimits === null ? [] : fields.budgetLimits && keptBudgetLimits(fields.budgetLimits),
    rpmLimitType: fields.rpmLimitType,
    tpmLimitType: fields.tpmLimitType,
    aliases: orEmpty(fields.aliases, {}),
    allowedRoutes: routesOf(fields),
    allowedPassthroughRoutes: orEmpty(fields.allowedPassthroughRoutes, []),
    allowedIps: orEmpty(fields.allowedIps, []),
    permissions: orEmpty(fields.permissions, {}),
    tags: orEmpty(fields.tags, []),
    enforcedParams: orEmpty(fields.enforcedParams, []),
    autoRotate: orEmpty(fields.autoRotate, false),
    rotationInterval: fields.rotationInterval,
    blocked: orEmpty(fields.blocked, false),
    expiresAt: expiryOf(fields, now),
  });
}

const orEmpty = <T>(value: T | null | undefined, empty: NoInfer<T>): T | undefined => (value === null ? empty : value);

function routesOf({ allowedRoutes, keyType }: KeyFields): string[] | undefined {
  // LiteLLM's clients send its default, `default`, beside the routes they want.
  if (!keyType || (keyType === 'default' && allowedRoutes)) return orEmpty(allowedRoutes, []);
  const routes = [...routesOfKeyType[keyType]];
  if (!allowedRoutes || allowedRoutes.length === 0 || allowedRoutes.join() === routes.join()) return routes;
  throw new GatewayError('invalid', 'invalid_request_error', 'Both key_type and allowed_routes were given', {
    param: 'key_type',
    hint: 'Give one of them: a type is a short name for a list of routes.',
  });
}

/** `undefined` when neither was given, so that an update leaves what there is. */
function expiryOf({ duration, expires }: KeyFields, now: Date): Date | null | undefined {
  if (duration !== undefined && duration !== null && expires !== undefined) {
    throw new GatewayError('invalid', 'invalid_request_error', 'Both duration and expires were given', {
      param: 'expires',
      hint: 'Give one of them.',
    });
  }
  return expires ?? (duration ? after(now, duration) : duration);
}

/** When the daemon replaces the secret next; null for a key it leaves alone. */
export function nextRotation({ autoRotate, rotationInterval }: Key, since: Date): Date | null {
  const interval = autoRotate && rotationInterval ? parseDuration(rotationInterval) : undefined;
  return interval ? after(since, interval) : null;
}

/** Checks what a key has become: nobody gives more than they hold, and a team gives no more than it has. */
export class KeyChecks {
  readonly #work: Work;
  readonly #access: KeyAccess;

  constructor(work: Work, access: KeyAccess) {
    this.#work = work;
    this.#access = access;
  }

  async limits(key: Key): Promise<KeyLimits> {
    const budgets = await budgetsOf(this.#work.em, [key]);
    return limitsOf(key, budgets.get(key.budgetId ?? ''));
  }

  /** With what its budget is raised by for the time being: what a key is given, and not what it may pass on. */
  async #raised(key: Key): Promise<KeyLimits> {
    const limits = await this.limits(key);
    const { maxBudget } = limits;
    return maxBudget === null ? limits : { ...limits, maxBudget: maxBudget + increaseOf(key, this.#work.now) };
  }

  /** @param before what a holder's key could do: it must not be able to do more now */
  async requireNarrower(key: Key, before: KeyLimits): Promise<void> {
    const widened = wideningOf(await this.limits(key), before, await this.#work.authority.accessGroups());
    if (widened) throw fieldNotAllowed(widened, 'you may lower it, and only an administrator of its team may raise it');
  }

  /** @param changed the fields that were set: what an administrator gave before, beyond the team's, may stay */
  async requireGrant(key: Key, changed: ReadonlySet<string>): Promise<void> {
    const all = await this.#raised(key);
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the same members, only fewer
    const wanted = Object.fromEntries(Object.entries(all).filter(([name]) => changed.has(name))) as Partial<KeyLimits>;
    const held = await this.#access.grants({
      teamId: key.teamId ?? null,
      userId: key.userId ?? null,
      organizationId: key.organizationId ?? null,
    });
    const groups = await this.#work.authority.accessGroups();
    const isReach = ['models', 'aliases', 'allowedRoutes'].some((name) => changed.has(name));
    const excess =
      excessWithAliases(wanted, held, groups) ??
      // As a whole: the models of the one change and the routes of the other may be of two permits of the token.
      (isReach ? excessWithAliases(all, this.#work.authority.tokenGrants, groups) : undefined);
    if (excess) throw tooWide(excess);
  }

  /** What a caller gets the secret of can do no more than the key or the token it came with. */
  async requireWithinOwn(key: Key): Promise<void> {
    const { authority } = this.#work;
    const { keyId, tokenGrants } = authority;
    if (tokenGrants.length > 0) {
      const excess = excessWithAliases(await this.#raised(key), tokenGrants, await authority.accessGroups());
      if (excess) throw tooWide(excess);
    }
    if (keyId === undefined || keyId === key.id) return;
    // Without writing the new key first: what is wrong with its name is told by whoever writes it.
    const own = await this.#work.em.findOneOrFail(Key, { id: keyId }, { flushMode: FlushMode.COMMIT });
    const wider = wideningOf(await this.#raised(key), await this.limits(own), await authority.accessGroups());
    if (wider) throw tooWide(wider);
  }

  /** LiteLLM's rules of a key that comes to a team, for administrators too. */
  async requireFits(key: Key, teamId: string): Promise<void> {
    const held = await this.#work.authority.grantOf('team', teamId);
    const { models, tpmLimit, rpmLimit } = await this.limits(key);
    const excess = held && excessOf({ models, tpmLimit, rpmLimit }, [held], await this.#work.authority.accessGroups());
    if (!excess) return;
    const message =
      excess === 'models'
        ? `Team=${teamId} does not allow all models of the key: ${models.filter((model) => !held.grant.models.some((pattern) => matchesPattern(pattern, model))).join(', ')}`
        : `Key has a ${wireName(excess)} which is greater than that of team=${teamId}`;
    throw new GatewayError('forbidden', 'team_model_access_denied', message, { param: 'team_id' });
  }

  /**
   * What is guaranteed to the keys of a team is not more than the team has. The team's row is locked, or two keys made at
   * the same time would both get the last of it.
   */
  async requireThroughput(key: Key): Promise<void> {
    const { em } = this.#work;
    const kinds = (['tpm', 'rpm'] as const).filter((kind) => key[`${kind}LimitType`] === 'guaranteed_throughput');
    for (const kind of kinds) {
      if (!key.teamId || key[`${kind}Limit`] === null || key[`${kind}Limit`] === undefined) continue;
      const [team] = await em.execute<{ most: string | null }[]>(
        `select ${kind}_limit as most from ${SCHEMA}.teams where id = ? for no key update`,
        [key.teamId],
      );
      const [sum] = await em.execute<{ allocated: string }[]>(
        `select coalesce(sum(${kind}_limit), 0) as allocated from ${SCHEMA}.keys where team_id = ? and id <> ?`,
        [key.teamId, key.id],
      );
      const most = team?.most ?? null;
      const allocated = Number(sum?.allocated ?? 0);
      const wanted = key[`${kind}Limit`] ?? 0;
      if (most === null || allocated + wanted <= Number(most)) continue;
      const name = kind.toUpperCase();
      throw new GatewayError(
        'invalid',
        'bad_request_error',
        `Allocated ${name} limit=${allocated} + Key ${name} limit=${wanted} is greater than team ${name} limit=${most}`,
        { param: `${kind}_limit`, hint: 'Lower it, raise that of the team, or say best_effort_throughput.' },
      );
    }
  }
}

/** Grant fields that a set of input fields can change. */
export function changedLimits(fields: KeyFields): ReadonlySet<string> {
  const names = Object.entries(fields).flatMap(([name, value]) => (value === undefined ? [] : [name]));
  const also: Readonly<Record<string, string>> = {
    duration: 'expiresAt',
    expires: 'expiresAt',
    keyType: 'allowedRoutes',
    tempBudgetIncrease: 'maxBudget',
    tempBudgetExpiry: 'maxBudget',
  };
  return new Set(names.map((name) => also[name] ?? name));
}

/** A key of which nothing was said. */
export const blank = () => ({
  alias: null,
  models: [],
  metadata: {},
  maxBudget: null,
  spend: 0n,
  budgetId: null,
  tempBudgetIncrease: null,
  tempBudgetExpiry: null,
  budgetLimits: [],
  rpmLimitType: null,
  tpmLimitType: null,
  aliases: {},
  allowedRoutes: [],
  allowedPassthroughRoutes: [],
  allowedIps: [],
  permissions: {},
  tags: [],
  enforcedParams: [],
  autoRotate: false,
  rotationInterval: null,
  lastRotationAt: null,
  keyRotationAt: null,
  rotationCount: 0,
  blocked: false,
  expiresAt: null,
  gen: 1n,
});

/** What can be given more of to one key than to another. */
export const everyLimit: ReadonlySet<string> = new Set([
  'models',
  'aliases',
  'maxBudget',
  'tpmLimit',
  'rpmLimit',
  'maxParallelRequests',
  'allowedRoutes',
  'allowedPassthroughRoutes',
  'allowedIps',
  'expiresAt',
]);

/** Clients send back what they read: an owner that stays the same is no move. */
export function withoutSame(key: Key, { teamId, userId, organizationId, ...rest }: KeyFields): KeyFields {
  return given({
    ...rest,
    teamId: teamId === (key.teamId ?? null) ? undefined : teamId,
    userId: userId === (key.userId ?? null) ? undefined : userId,
    organizationId: organizationId === (key.organizationId ?? null) ? undefined : organizationId,
  });
}

/** What an alias leads to is called as much as what is named. */
function excessWithAliases(
  wanted: Partial<KeyLimits>,
  held: readonly Held[],
  groups: ReadonlySet<string>,
): GrantField | undefined {
  const targets = Object.values(wanted.aliases ?? {});
  const excess = excessOf(wanted, held, groups);
  return excess ?? (targets.length === 0 ? undefined : excessOf({ ...wanted, models: targets }, held, groups));
}
