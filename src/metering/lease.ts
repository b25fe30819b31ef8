import type { Counter } from './counter.ts';

/** What this daemon holds of one budget, and what it knows of the others'. Amounts are nano-dollars. */
export interface Lease {
  /**
   * What the database keeps for us, or less. It covers what is reserved and what is settled and not yet booked; below
   * zero after calls that cost more than was reserved for them.
   */
  amount: bigint;
  /** What the budget was when some of it was last taken: it is less once an increase for a while is over, and nobody says so. */
  max: bigint;
  /** Whether the database has said so since this process began, or since all was lost. */
  isKnown: boolean;
  /** It is in an exchange whose answer is still to come. */
  isAsked: boolean;
  /** Nobody knows whether the last exchange went through: the database may keep more than we count. */
  isDoubtful: boolean;
  /** Raised with every booking. */
  version: number;
  /** The budget's name among the daemons. */
  budget: string;
  /** Held by other daemons, and by such that have not been heard of for a while, as of the last exchange. */
  others: bigint;
  silent: bigint;
  /** Since another daemon wanted some, until `shareUntilMs`: more than this is given back as calls end. */
  share: bigint | undefined;
  shareUntilMs: number;
  /** Until when no more than that is to be had, on the monotonic clock. */
  deniedUntilMs: number;
  deniedAmount: bigint;
  recalledAtMs: number;
  /** When more was last asked for that no call waits for. */
  wishedAtMs: number;
  /** Looks at it since it was last used. */
  idleLooks: number;
  /** Somebody waits for others to give some back. */
  returned: PromiseWithResolvers<void> | undefined;
}

export const newLease = (): Lease => ({
  amount: 0n,
  max: 0n,
  isKnown: false,
  isAsked: false,
  isDoubtful: false,
  version: 0,
  budget: '',
  others: 0n,
  silent: 0n,
  share: undefined,
  shareUntilMs: 0,
  deniedUntilMs: 0,
  deniedAmount: 0n,
  recalledAtMs: Number.NEGATIVE_INFINITY,
  wishedAtMs: Number.NEGATIVE_INFINITY,
  idleLooks: 0,
  returned: undefined,
});

export const usedOf = ({ unflushed, reserved }: Counter): bigint => unflushed + reserved;

/** What is held and not in use. */
export const freeOf = (counter: Counter, lease: Lease): bigint => lease.amount - usedOf(counter);

/** Even a call that costs nothing needs a budget that is not used up. */
export const leastFor = (amount: bigint): bigint => (amount > 0n ? amount : 1n);

/** What was booked is held no longer: the database has taken it off in the same transaction. */
export function bookOff({ lease }: Counter, amount: bigint): void {
  if (!lease || (!lease.isKnown && !lease.isAsked)) return;
  lease.amount -= amount;
  lease.version++;
}

/** All that was held is lost: other daemons may have it by now. */
export function lose(lease: Lease): void {
  lease.amount = 0n;
  lease.isKnown = false;
  lease.isDoubtful = false;
  lease.share = undefined;
  lease.version++;
}
