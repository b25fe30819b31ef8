import type { Bearer, Role } from '../kernel/operation.ts';
import type { Permits } from '../kernel/permits.ts';

export const budgetEntities = [
  'key',
  'team',
  'user',
  'member',
  'organization',
  'organization_member',
  'customer',
  'tag',
  'gateway',
] as const;
/** Who may have a budget and limits. `gateway` is everybody together. A `member` is a user in a team; a `customer` whoever a request names as its `user`. */
export type BudgetEntity = (typeof budgetEntities)[number];

export interface Holder {
  readonly entity: BudgetEntity;
  /** Of a member, of its owner and its user: see `memberId`. */
  readonly id: string;
  /** The name of the entity for messages: an alias, else the id. */
  readonly label: string;
}

export { memberId } from '../kernel/member-id.ts';

/** A budget that a call must fit into. The money spent is not here: it changes with every call and lives in the counters. */
export interface BudgetLimit extends Holder {
  /** Nano-dollars; null is no limit, zero refuses everything. */
  readonly max: bigint | null;
  /** What is added to it until a moment, in milliseconds since 1970. See `maxAt`. */
  readonly increase?: { readonly amount: bigint; readonly untilMs: number } | undefined;
  /** Nano-dollars from which on the operator is warned. */
  readonly soft?: bigint | undefined;
  /** A name or pattern: only calls for such models count. Absent is all. */
  readonly model?: string | undefined;
  /** In LiteLLM's grammar, such as `1d`: only what was spent in the present window counts. Absent is for good. */
  readonly duration?: string | undefined;
}

/** What may be spent as of a moment, in nano-dollars; null is no limit. */
export const maxAt = ({ max, increase }: Pick<BudgetLimit, 'max' | 'increase'>, nowMs: number): bigint | null =>
  max === null || increase === undefined || nowMs >= increase.untilMs ? max : max + increase.amount;

/** How much may be asked at once. Requests and tokens are per minute; null is no limit, zero refuses everything. */
export interface RateLimit extends Omit<Holder, 'entity'> {
  /** Deployments are limited as those are who call them. */
  readonly entity: Holder['entity'] | 'deployment';
  readonly requests: number | null;
  readonly tokens: number | null;
  /** Requests under way at the same time. */
  readonly parallel: number | null;
  /** As in a budget. */
  readonly model?: string | undefined;
}

/** What a call is charged to, and must fit into. */
export interface Charge {
  readonly budgets: readonly BudgetLimit[];
  readonly rates: readonly RateLimit[];
  /** What the call is booked under. */
  readonly tags: readonly string[];
}

/** The limits of one holder; those that count for some models only stand apart, so that other calls need not look at them. */
export interface Held {
  readonly budgets: readonly BudgetLimit[];
  readonly rates: readonly RateLimit[];
  readonly modelBudgets: readonly BudgetLimit[];
  readonly modelRates: readonly RateLimit[];
}

/**
 * Whoever was authenticated, as it was when it was read: immutable, without secrets and without counters, so that it
 * can be cached and nobody is tempted to write it back. Its budgets have a key, its team and its user always, each with
 * its limit or none, because spend is counted on all of them; the others only where they have a limit.
 */
export interface Principal extends Held, Charge {
  readonly kind: 'master' | 'key' | 'jwt';
  /** The key's lasting id; `master` for the master key, and `jwt` for whoever has none but a token. */
  readonly keyId: string;
  /** SHA-256 of the secret that was presented; the id again where that is no key, so that its hash reaches no row and no log. */
  readonly hash: string;
  readonly alias: string | null;
  readonly userId: string | null;
  readonly teamId: string | null;
  readonly organizationId: string | null;
  readonly role: Role;
  readonly blocked: boolean;
  readonly teamBlocked: boolean;
  readonly userBlocked: boolean;
  readonly organizationBlocked: boolean;
  readonly teamAlias: string | null;
  /** Milliseconds since 1970, or null for ever. */
  readonly expiresAt: number | null;
  /** Models the key may call; empty means all. Patterns and LiteLLM's special names included. */
  readonly models: readonly string[];
  readonly teamModels: readonly string[];
  /** Of the user of a key without a team; absent means all. */
  readonly userModels?: readonly string[];
  readonly organizationModels: readonly string[];
  /** Models by the names the client may use for them. */
  readonly aliases: Readonly<Record<string, string>>;
  readonly teamAliases: Readonly<Record<string, string>>;
  /** Paths and groups of routes; empty means all. */
  readonly allowedRoutes: readonly string[];
  /** Pass-through routes the key may call; empty means all. */
  readonly passedPaths: readonly string[];
  readonly teamPassedPaths: readonly string[];
  /** Addresses and networks it may be used from; empty means everywhere. */
  readonly allowedIps: readonly string[];
  /** Fields a request must have. */
  readonly enforcedParams: readonly string[];
  /** Shared budgets that its limits come from: when one changes, this is out of date. */
  readonly sharedBudgets: readonly string[];
  /** Of whoever came with a JWT; also with one that a virtual key is mapped to. */
  readonly token?: TokenBounds;
}

/** What a JWT says of its bearer beyond who that is. */
export interface TokenBounds extends Bearer {
  /** Limits of its own, all of which count beside those of its user and team. */
  readonly permits: readonly Permits[];
  /** The organization that the token names, beyond which it does not reach. */
  readonly organizationId: string | null;
  /** Whom its calls are made for, whatever a request says. */
  readonly customer: string | undefined;
  /** Whether models are for members of teams only. */
  readonly needsTeam: boolean;
  /** As whom else it can act: in its other teams, in this order, and without any. */
  readonly others: readonly Principal[];
  /** Teams it names and cannot act in, which are not there or are blocked: when one changes, it may be able to. */
  readonly passedOver: readonly { readonly teamId: string; readonly organizationId: string | null }[];
}

/** All that a caller can act as, the first first. */
export const standingsOf = (principal: Principal): readonly Principal[] =>
  principal.token && principal.token.others.length > 0 ? [principal, ...principal.token.others] : [principal];

/** Nothing is limited: what other principals narrow. */
export const unlimited = {
  blocked: false,
  teamBlocked: false,
  userBlocked: false,
  organizationBlocked: false,
  expiresAt: null,
  models: [],
  teamModels: [],
  organizationModels: [],
  aliases: {},
  teamAliases: {},
  allowedRoutes: [],
  passedPaths: [],
  teamPassedPaths: [],
  allowedIps: [],
  enforcedParams: [],
  tags: [],
  budgets: [],
  rates: [],
  modelBudgets: [],
  modelRates: [],
  sharedBudgets: [],
} as const satisfies Partial<Principal>;
