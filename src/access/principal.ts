import type { Role } from '../kernel/operation.ts';

export type BudgetEntity = 'key' | 'team' | 'user';

/** A budget that a call must fit into. The money spent is not here: it changes with every call and lives in the counters. */
export interface BudgetLimit {
  readonly entity: BudgetEntity;
  readonly id: string;
  /** The name of the entity for messages: an alias, else the id. */
  readonly label: string;
  /** Nano-dollars; null is no limit, zero refuses everything. */
  readonly max: bigint | null;
}

/**
 * Whoever was authenticated, as it was when it was read: immutable, without secrets and without counters, so that it
 * can be cached and nobody is tempted to write it back.
 */
export interface Principal {
  readonly kind: 'master' | 'key';
  /** The key's lasting id; `master` for the master key. */
  readonly keyId: string;
  /** SHA-256 of the secret that was presented; an alias for the master key, so that its hash reaches no row and no log. */
  readonly hash: string;
  readonly alias: string | null;
  readonly userId: string | null;
  readonly teamId: string | null;
  readonly organizationId: string | null;
  readonly role: Role;
  readonly blocked: boolean;
  readonly teamBlocked: boolean;
  readonly teamAlias: string | null;
  /** Milliseconds since 1970, or null for ever. */
  readonly expiresAt: number | null;
  /** Models the key may call; empty means all. Patterns and LiteLLM's special names included. */
  readonly models: readonly string[];
  readonly teamModels: readonly string[];
  /** Of the user of a key without a team; absent means all. */
  readonly userModels?: readonly string[];
  /** Key, team and user, each with its limit or none: spend is booked on all of them. */
  readonly budgets: readonly BudgetLimit[];
}
