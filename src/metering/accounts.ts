import type { BudgetEntity } from '../access/principal.ts';
import { type Counted, type Counter, isBusy, newCounter, nextWindow } from './counter.ts';

/** All counters of one entity. */
interface Account {
  total: Counter | undefined;
  readonly windows: Counter[];
  /** Used since the last sweep. */
  isUsed: boolean;
}

type Named = Omit<Counted, 'model' | 'duration' | 'startMs'> & {
  readonly model?: string | undefined;
  readonly duration?: string | undefined;
};

/** Entities whose counters hang on an owner: what changes the owner may change theirs. */
const dependents: Partial<Record<BudgetEntity, readonly BudgetEntity[]>> = {
  team: ['member'],
  user: ['member', 'organization_member'],
  organization: ['organization_member'],
};

/** The counters there are, by entity, with a bound. */
export class Accounts {
  readonly #most: number;
  readonly #onOver: ((counter: Counter) => void) | undefined;
  readonly #accounts: Readonly<Record<BudgetEntity, Map<string, Account>>> = {
    key: new Map(),
    team: new Map(),
    user: new Map(),
    member: new Map(),
    organization: new Map(),
    organization_member: new Map(),
    customer: new Map(),
    tag: new Map(),
    gateway: new Map(),
  };

  /** @param onOver told of a counter that gives way to the next window's */
  constructor(most: number, onOver?: (counter: Counter) => void) {
    this.#most = most;
    this.#onOver = onOver;
  }

  get size(): number {
    return Object.values(this.#accounts).reduce((sum, { size }) => sum + size, 0);
  }

  /** The counter of this name, for the window of this moment. */
  open({ entity, id, model = '', duration = '' }: Named, nowMs: number): Counter {
    const account = this.#account(entity, id);
    if (duration === '' && model === '') {
      return (account.total ??= newCounter({ entity, id, model, duration, startMs: 0 }, nowMs));
    }
    const index = account.windows.findIndex((each) => each.duration === duration && each.model === model);
    let counter = account.windows[index];
    if (counter && counter.endMs > nowMs) return counter;
    if (counter) this.#onOver?.(counter);
    // What is still in flight of the last window is settled there, and no longer looked at.
    counter = counter ? nextWindow(counter, nowMs) : newCounter({ entity, id, model, duration, startMs: 0 }, nowMs);
    if (index === -1) account.windows.push(counter);
    else account.windows[index] = counter;
    return counter;
  }

  /** The same if there is one, and it is for the window that is meant. */
  find({ entity, id, model, duration, startMs }: Counted): Counter | undefined {
    const account = this.#accounts[entity].get(id);
    if (duration === '' && model === '') return account?.total;
    return account?.windows.find(
      (each) => each.duration === duration && each.model === model && each.startMs === startMs,
    );
  }

  /** All counters that a change of an entity may concern, its members' among them. */
  *concerned(entity: BudgetEntity, id: string): Generator<Counter> {
    yield* countersOf(this.#accounts[entity].get(id));
    for (const dependent of dependents[entity] ?? []) {
      for (const [memberId, account] of this.#accounts[dependent]) {
        const [owner, user] = memberId.split('\u001f', 2);
        if ((entity === 'user' ? user : owner) === id) yield* countersOf(account);
      }
    }
  }

  #account(entity: BudgetEntity, id: string): Account {
    const accounts = this.#accounts[entity];
    let account = accounts.get(id);
    if (!account) {
      if (accounts.size >= this.#most) evict(accounts);
      account = { total: undefined, windows: [], isUsed: true };
      accounts.set(id, account);
    }
    account.isUsed = true;
    return account;
  }
}

function countersOf(account: Account | undefined): readonly Counter[] {
  if (!account) return [];
  return account.total ? [account.total, ...account.windows] : account.windows;
}

/** Accounts an eviction looks at: enough to find one that was not used lately, few enough not to be felt. */
const sweepSteps = 64;

/** The oldest idle account goes; one that was used since it was last passed over gets a second chance. */
function evict(accounts: Map<string, Account>): void {
  let idle: string | undefined;
  let steps = 0;
  for (const [id, account] of accounts) {
    if (++steps > sweepSteps) break;
    const isIdle = !countersOf(account).some(isBusy);
    if (isIdle) idle ??= id;
    if (isIdle && !account.isUsed) {
      idle = id;
      break;
    }
    account.isUsed = false;
    accounts.delete(id);
    accounts.set(id, account);
  }
  if (idle !== undefined) accounts.delete(idle);
}
