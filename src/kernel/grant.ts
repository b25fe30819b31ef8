import { coversNetwork } from './networks.ts';
import { coversPassed } from './passed-paths.ts';
import { coversRoute } from './route-groups.ts';

/** What a key, user, team or organization may do, as far as one can be given more of it than another. */
export interface Grant {
  /** Empty is every model of whoever owns it. Patterns and the special names of LiteLLM included. */
  readonly models: readonly string[];
  readonly maxBudget: bigint | null;
  readonly tpmLimit: number | null;
  readonly rpmLimit: number | null;
  readonly maxParallelRequests: number | null;
  /** Empty is every route of the role. */
  readonly allowedRoutes: readonly string[];
  /** Empty is every pass-through route. */
  readonly allowedPassthroughRoutes: readonly string[];
  /** Empty is everywhere. */
  readonly allowedIps: readonly string[];
  readonly expiresAt: Date | null;
}

/** Nothing is limited: what an administrator holds. */
export const everything: Grant = {
  models: [],
  maxBudget: null,
  tpmLimit: null,
  rpmLimit: null,
  maxParallelRequests: null,
  allowedRoutes: [],
  allowedPassthroughRoutes: [],
  allowedIps: [],
  expiresAt: null,
};

export type GrantField = keyof Grant;

/** LiteLLM's names in a list of models that stand for no model. */
const TEAM_MODELS = 'all-team-models';
const ALL_MODELS = 'all-proxy-models';
export const NO_MODELS = 'no-default-models';

/** `*` stands for any run of characters; nothing else is special, so a list cannot hold a slow regular expression. */
export function matchesPattern(pattern: string, text: string): boolean {
  const parts = pattern.split('*');
  const first = parts.shift() ?? '';
  const last = parts.pop();
  if (last === undefined) return first === text;
  if (!text.startsWith(first) || !text.endsWith(last) || text.length < first.length + last.length) return false;
  let position = first.length;
  for (const part of parts) {
    const found = text.indexOf(part, position);
    if (found === -1) return false;
    position = found + part.length;
  }
  return position <= text.length - last.length;
}

/**
 * Whether a list lets through all that another entry stands for. A pattern is covered by one that matches it letter by
 * letter: whatever its own `*` stands for is then part of what the other's stands for.
 */
function covers(held: readonly string[], wanted: string, groups: ReadonlySet<string>): boolean {
  if (wanted === NO_MODELS || held.includes(wanted)) return true;
  // A pattern stands for models. What models a group has is not to be told from its name, and changes.
  if (groups.has(wanted)) return held.includes(ALL_MODELS) || held.includes('*');
  return held.some((entry) => entry === ALL_MODELS || (!isSpecial(wanted) && matchesPattern(entry, wanted)));
}

const isSpecial = (entry: string): boolean => entry === ALL_MODELS || entry === TEAM_MODELS;

/** `all-team-models` is all of an owner's list, and more than a key has that is held to a list of its own. */
const coversModel = (isInherited: boolean, groups: ReadonlySet<string>) => (held: readonly string[], wanted: string) =>
  (isInherited && wanted === TEAM_MODELS) || covers(held, wanted, groups);

/** A list with this name in it lets no model through, whatever else stands there. */
const isNone = (models: readonly string[]): boolean => models.includes(NO_MODELS);

export interface HeldGrant {
  readonly grant: Grant;
  /**
   * Whether what is left open stays within this grant by itself, because it is looked at with every call: the owner's
   * limits are. Those of the key that was used to ask are not, so there everything must be named.
   */
  readonly isInherited: boolean;
}

/** Several are alternatives: it is enough to stay within one of them, and of none there is nothing to give. */
export type Held = HeldGrant | readonly HeldGrant[];

const isSeveral = (held: Held): held is readonly HeldGrant[] => Array.isArray(held);

/**
 * The first field in which a grant would be wider than one of those held, or undefined.
 *
 * @param groups the names of access groups: whoever holds `gpt-*` does not hold the group `gpt-insiders`
 */
export function excessOf(
  wanted: Partial<Grant>,
  held: readonly Held[],
  groups: ReadonlySet<string>,
): GrantField | undefined {
  for (const each of held) {
    const fields = (isSeveral(each) ? each : [each]).map((one) => excessOver(wanted, one, groups));
    if (!fields.includes(undefined)) return fields[0] ?? 'models';
  }
  return undefined;
}

const lists = [
  ['allowedRoutes', coversRoute],
  ['allowedPassthroughRoutes', coversPassed],
  ['allowedIps', coversNetwork],
] as const;

const amounts = ['maxBudget', 'tpmLimit', 'rpmLimit', 'maxParallelRequests'] as const;

function excessOver(
  wanted: Partial<Grant>,
  { grant: held, isInherited }: HeldGrant,
  groups: ReadonlySet<string>,
): GrantField | undefined {
  const coversEach = coversModel(isInherited, groups);
  if (wanted.models && isWiderModels(wanted.models, held.models, isInherited, coversEach)) return 'models';
  for (const [field, coversOne] of lists) {
    const list = wanted[field];
    if (list && isWider(list, held[field], isInherited, coversOne)) return field;
  }
  for (const field of amounts) {
    const limit = held[field];
    const value = wanted[field];
    if (limit === null || value === undefined) continue;
    if (value === null ? !isInherited : value > limit) return field;
  }
  const { expiresAt } = wanted;
  if (held.expiresAt === null || expiresAt === undefined) return undefined;
  const isLonger = expiresAt === null ? !isInherited : expiresAt > held.expiresAt;
  return isLonger ? 'expiresAt' : undefined;
}

function isWiderModels(
  wanted: readonly string[],
  held: readonly string[],
  isInherited: boolean,
  covered: (held: readonly string[], entry: string) => boolean,
): boolean {
  if (isNone(wanted)) return false;
  if (isNone(held)) return !isInherited || wanted.some((entry) => entry !== TEAM_MODELS);
  return isWider(wanted, held, isInherited, covered);
}

function isWider(
  wanted: readonly string[],
  held: readonly string[],
  isInherited: boolean,
  covered: (held: readonly string[], entry: string) => boolean,
): boolean {
  if (held.length === 0) return false;
  if (wanted.length === 0) return !isInherited;
  return !wanted.every((entry) => covered(held, entry));
}
