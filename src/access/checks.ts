import type { ErrorKind } from '../kernel/errors.ts';
import type { AskedCall, ModelScope } from './decide.ts';
import type { Principal, TokenBounds } from './principal.ts';

/** The part of a principal that models are decided by. */
export type ModelLists = Pick<
  Principal,
  'role' | 'models' | 'teamId' | 'teamModels' | 'userModels' | 'organizationModels' | 'aliases' | 'teamAliases'
> & { readonly token?: Pick<TokenBounds, 'permits' | 'needsTeam'> };

/** The checks of a caller and a call, by the names that a trace gives them. */
export type Rule =
  | 'key.blocked'
  | 'team.blocked'
  | 'user.blocked'
  | 'organization.blocked'
  | 'key.expiry'
  | 'key.address'
  | 'key.routes'
  | 'token.routes'
  | 'key.passthrough_routes'
  | 'team.passthrough_routes'
  | 'token.team'
  | 'token.models'
  | 'user.role'
  | 'key.models'
  | 'team.models'
  | 'user.models'
  | 'organization.models'
  | 'tag.models'
  | 'customer.blocked'
  | 'key.params';

/** Why a call is not allowed: the rule that stands in the way, and what the client is told. */
export interface Denial {
  readonly rule: Rule;
  readonly kind: ErrorKind;
  readonly type: string;
  readonly param?: string;
  /** Made when it is needed: a list of models asks about each of them. */
  readonly message: () => string;
}

/** A rule, and what it says of whoever is looked at. */
export interface Check<Subject> {
  readonly rule: Rule;
  readonly deny: (subject: Subject) => Denial | undefined;
  /** What the rule goes by, for a trace; undefined where it has nothing to look at. */
  readonly basis: (subject: Subject) => string | undefined;
}

/** Whoever calls, when, and from where. */
export interface Caller {
  readonly principal: Principal;
  readonly now: Date;
  /** As `clientAddress` gives it: worked out for those whom it matters for. */
  readonly address: () => string;
}

/** A call, and the model it is really for. */
export interface Asked {
  readonly principal: Principal;
  readonly call: AskedCall;
  readonly model: string;
  readonly scope: ModelScope;
}

export interface AskedModel {
  readonly principal: ModelLists;
  /** Absent where a list of models is made: then any route will do. */
  readonly call?: Pick<AskedCall, 'route'>;
  readonly model: string;
  readonly scope: ModelScope;
}

/** A list as a person reads it: an empty one lets everything through. */
export const listed = (names: readonly string[]): string => (names.length === 0 ? 'all' : names.join(', '));

/** The first rule that denies. */
export function firstDenial<Subject>(checks: readonly Check<Subject>[], subject: Subject): Denial | undefined {
  for (const { deny } of checks) {
    const denial = deny(subject);
    if (denial) return denial;
  }
  return undefined;
}
