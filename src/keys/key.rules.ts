import type { Authority } from '../access/authority.ts';
import type { KeySettings } from '../config/key-settings.ts';
import { given } from '../db/work.ts';
import { type Duration, parseDuration, toMilliseconds } from '../kernel/duration.ts';
import { GatewayError } from '../kernel/errors.ts';
import { toDollars } from '../kernel/money.ts';
import { wireName } from '../kernel/wire.ts';
import type { KeyFields } from './key.changes.ts';

/** What the configuration says of keys. */
export interface KeyRuleSettings extends KeySettings {
  /** Whether aliases have to look as LiteLLM's optional check wants them. */
  readonly hasAliasFormat: boolean;
  /** Whether daemons write the secrets of rotated keys anywhere. */
  readonly canRotate: boolean;
  readonly rotationGrace: Duration;
}

const amounts = ['maxBudget', 'maxParallelRequests', 'tpmLimit', 'rpmLimit'] as const;

const isEmpty = (value: unknown): boolean =>
  value === undefined || value === null || (Array.isArray(value) && value.length === 0);

const shown = (value: unknown): string => {
  if (typeof value === 'bigint') return String(toDollars(value));
  if (typeof value === 'object' && value !== null && 'unit' in value && 'count' in value) {
    return `${String(value.count)}${String(value.unit)}`;
  }
  return typeof value === 'string' || typeof value === 'number' ? String(value) : 'None';
};

/** What the configuration asks of keys, applied: the same in a daemon and in direct mode. */
export class KeyRules {
  readonly #settings: KeyRuleSettings;
  readonly #now: Date;

  constructor(settings: KeyRuleSettings, now: Date) {
    this.#settings = settings;
    this.#now = now;
  }

  get rotationGrace(): Duration {
    return this.#settings.rotationGrace;
  }

  /** Nano-dollars; undefined where the configuration says nothing of it. */
  get largestBudget(): bigint | undefined {
    return this.#settings.bounds.maxBudget;
  }

  /** @throws GatewayError 400 when a field is missing that the configuration asks for, or is above its bound */
  complete(fields: KeyFields): KeyFields {
    const { team, personal, defaults, bounds } = this.#settings;
    for (const name of (fields.teamId ? team : personal).requiredParams) {
      const isGiven = Object.entries(fields).some(([field, value]) => wireName(field) === name && !isEmpty(value));
      if (!isGiven) throw invalid(name, `Required param ${name} not in data`);
    }
    const hasExpiry = fields.duration !== undefined || fields.expires !== undefined;
    const { duration, ...rest } = defaults;
    const filled = { ...given(rest), ...(!hasExpiry && given({ duration })), ...given(fields) };
    this.requireWithin(filled);
    const missing = Object.entries(bounds).filter(
      ([name, bound]) => bound !== undefined && (name !== 'duration' || !hasExpiry) && isEmpty(member(filled, name)),
    );
    return { ...filled, ...Object.fromEntries(missing) };
  }

  /** Whether what is given stays below the bounds. An end that is removed is later than any bound. */
  requireWithin(fields: KeyFields): void {
    const { bounds } = this.#settings;
    for (const name of amounts) {
      const value = fields[name];
      const bound = bounds[name];
      if (
        bound !== undefined &&
        typeof value === typeof bound &&
        value !== null &&
        value !== undefined &&
        value > bound
      )
        throw over(name, value, bound);
    }
    const longest = bounds.budgetDuration === undefined ? undefined : parseDuration(bounds.budgetDuration);
    const period = fields.budgetDuration ? parseDuration(fields.budgetDuration) : undefined;
    if (longest && period && toMilliseconds(period) > toMilliseconds(longest)) {
      throw over('budgetDuration', fields.budgetDuration, bounds.budgetDuration);
    }
    if (!bounds.duration) return;
    const lives = fields.expires ? fields.expires.getTime() - this.#now.getTime() : lengthOf(fields.duration);
    if (lives > toMilliseconds(bounds.duration)) throw over('duration', fields.duration ?? '-1', bounds.duration);
  }

  /** The same of an update: what is removed is above any bound. */
  requireKept(changes: KeyFields): void {
    const { bounds } = this.#settings;
    for (const name of [...amounts, 'budgetDuration'] as const) {
      if (changes[name] === null && bounds[name] !== undefined) throw over(name, null, bounds[name]);
    }
    this.requireWithin(changes);
  }

  /** @throws GatewayError 400 when the configuration does not let callers of this role make such keys */
  async requireMaker(authority: Authority, teamId: string | null): Promise<void> {
    const { team, personal } = this.#settings;
    if (teamId === null) {
      const { role } = authority;
      if (!personal.allowedRoles || personal.allowedRoles.includes(role)) return;
      throw invalid(
        'user_id',
        `Personal key creation has been restricted by admin. Allowed roles=[${personal.allowedRoles.join(', ')}]. Your role=${role}`,
      );
    }
    if (!team.allowedRoles || authority.isAdmin) return;
    const role = (await authority.teamRole(teamId)) ?? 'none';
    if (team.allowedRoles.includes(role)) return;
    throw invalid(
      'team_id',
      `Team member role ${role} not in allowed_team_member_roles=[${team.allowedRoles.join(', ')}]`,
    );
  }

  /** LiteLLM's optional check of aliases. */
  requireAlias(alias: string | null | undefined): void {
    if (!this.#settings.hasAliasFormat || !alias) return;
    if (/^[A-Za-z0-9][\w\-/.@]{0,253}[A-Za-z0-9]$/.test(alias)) return;
    throw invalid(
      'key_alias',
      `Invalid key_alias format: '${alias}'. It must be 2 to 255 letters, digits and _-/.@, with a letter or digit at both ends`,
    );
  }

  requireRotation({ autoRotate, rotationInterval }: { autoRotate: boolean; rotationInterval: string | null }): void {
    if (!autoRotate) return;
    if (rotationInterval === null) throw invalid('rotation_interval', 'auto_rotate needs a rotation_interval');
    if (this.#settings.canRotate) return;
    throw new GatewayError('invalid', 'rotation_not_configured', 'auto_rotate: nobody would get the new secrets', {
      param: 'auto_rotate',
      hint: 'Set rotation_secrets_dir (gatewayctl.rotation_secrets_dir or GATEWAYCTL_ROTATION_SECRETS_DIR) to a directory that new secrets are written to.',
    });
  }
}

// oxlint-disable-next-line typescript/no-unsafe-type-assertion -- read by a name of the bounds, all of which are fields
const member = (fields: KeyFields, name: string): unknown => fields[name as keyof KeyFields];

const lengthOf = (duration: Duration | null | undefined): number => {
  if (duration === null) return Infinity;
  return duration === undefined ? 0 : toMilliseconds(duration);
};

const invalid = (param: string, message: string) =>
  new GatewayError('invalid', 'bad_request_error', message, { param });

/** LiteLLM's text. */
const over = (name: string, value: unknown, bound: unknown) =>
  invalid(
    wireName(name),
    `${wireName(name)} is over max limit set in config - user_value=${shown(value)}; max_value=${shown(bound)}`,
  );
