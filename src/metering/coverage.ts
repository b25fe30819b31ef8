import { setTimeout as sleep } from 'node:timers/promises';
import type { BudgetLimit } from '../access/principal.ts';
import { GatewayError } from '../kernel/errors.ts';
import { budgetExceeded } from './budget-exceeded.ts';
import type { Counter } from './counter.ts';
import { type Lease, leastFor, usedOf } from './lease.ts';
import type { Leases } from './leases.ts';

/** A budget of which this daemon holds too little for a call, although there may be enough of it left. */
export interface Shortage {
  readonly counter: Counter;
  readonly limit: BudgetLimit;
  readonly max: bigint;
  /** What the call can cost at most, in nano-dollars. */
  readonly amount: bigint;
}

/** Not the caller's fault, and over in a moment: whoever can wait takes it to `cover` and tries again. */
export class NotHeld extends GatewayError {
  readonly shortages: readonly Shortage[];

  constructor(shortages: readonly Shortage[]) {
    const labels = shortages.map(({ limit: { entity, label } }) => `${entity} ${label}`).join(', ');
    super('unavailable', 'budget_unavailable', `What is left of the budget of ${labels} is held by other daemons`, {
      headers: { 'retry-after': '1' },
    });
    this.shortages = shortages;
  }
}

/** How long the others have to give back what they do not need. */
const returnWithinMs = 100;
const mostRounds = 4;
/** For so long it is taken for granted that there is no more: it bounds the statements that a used-up budget causes. */
const denyForMs = 50;

/**
 * Waits until enough is held for a call, or until it is certain that no more is to be had.
 *
 * @throws GatewayError `budget_exceeded`, also when others hold the rest; `budget_unavailable`
 */
export async function cover(leases: Leases, shortage: Shortage): Promise<void> {
  const { counter, max, amount } = shortage;
  await letOthers(counter, amount);
  if (leases.covers(counter, amount)) return;
  await leases.ask(counter, { max, amount: leastFor(amount) });
  const untilMs = performance.now() + returnWithinMs;
  for (let round = 1; counter.lease && !leases.covers(counter, amount); round++) {
    const { lease } = counter;
    const leftMs = untilMs - performance.now();
    if (lease.others === 0n || leftMs <= 0 || round > mostRounds) {
      deny(lease, amount);
      throw notToBeHad(shortage);
    }
    await returned(lease, leftMs);
    await leases.ask(counter, { max, amount: leastFor(amount) });
  }
}

/** Another daemon has wanted some of it: what goes beyond our share is left to it for a moment, or it would never get any. */
async function letOthers(counter: Counter, amount: bigint): Promise<void> {
  const { lease } = counter;
  if (lease?.share === undefined) return;
  const leftMs = lease.shareUntilMs - performance.now();
  if (leftMs > 0 && usedOf(counter) + amount > lease.share) await sleep(leftMs);
}

function deny(lease: Lease, amount: bigint): void {
  const now = performance.now();
  const isDenied = now < lease.deniedUntilMs;
  lease.deniedAmount = isDenied && lease.deniedAmount < amount ? lease.deniedAmount : amount;
  lease.deniedUntilMs = now + denyForMs;
}

/** What a call is told that there is no more for: a dead daemon's part comes back, anything else is used or in use. */
export function notToBeHad({ counter, limit, max, amount }: Shortage): GatewayError {
  const { spent = 0n, unflushed, reserved, lease } = counter;
  if (lease && lease.silent > 0n) return heldBySilent(limit);
  return budgetExceeded(limit, { cost: spent + unflushed, max, reserved: reserved + (lease?.others ?? 0n), amount });
}

const heldBySilent = ({ entity, label }: BudgetLimit) =>
  new GatewayError(
    'unavailable',
    'budget_unavailable',
    `A daemon that does not answer holds a part of the budget of ${entity} ${label}`,
    {
      hint: 'What it holds is free again within 65 seconds after it was last heard of.',
      headers: { 'retry-after': '10' },
    },
  );

/** Whether it was just found that there is no more of it for a call like this. */
export const isDenied = ({ lease }: Counter, amount: bigint): boolean =>
  lease !== undefined && amount >= lease.deniedAmount && performance.now() < lease.deniedUntilMs;

async function returned(lease: Lease, withinMs: number): Promise<void> {
  const { promise, resolve } = (lease.returned ??= Promise.withResolvers<void>());
  const timer = setTimeout(resolve, withinMs);
  await promise;
  clearTimeout(timer);
  lease.returned = undefined;
}
