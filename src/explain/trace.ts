import type { GatewayError } from '../kernel/errors.ts';
import { toDollars } from '../kernel/money.ts';
import type { Headroom } from '../metering/headroom.ts';
import { callerChecks } from '../access/caller-checks.ts';
import type { Asked, Check, Denial } from '../access/checks.ts';
import { asError, decisionChecks } from '../access/decide.ts';

/** One check of a call, and how it went. */
export interface Step {
  /** Such as `key.blocked`, `team.models`, `user.budget`, `key.requests`. */
  readonly check: string;
  /** `unknown` where only a daemon could say. */
  /** `observe`: it would be refused, and is let through. */
  readonly outcome: 'pass' | 'deny' | 'observe' | 'unknown';
  /** What the check went by, for a person. */
  readonly detail: string;
  /** Of budgets in US dollars, of limits in requests, tokens or calls. */
  readonly limit?: number | undefined;
  readonly used?: number | undefined;
  readonly reserved?: number | undefined;
  readonly left?: number | undefined;
  /** When there is room again, or more of it. */
  readonly freesAt?: Date | undefined;
  /** What a client would be told. */
  readonly error?: GatewayError | undefined;
}

/** What is looked at before the body is read, and after. */
interface Decided {
  readonly caller: readonly Step[];
  readonly call: readonly Step[];
}

interface Asking {
  readonly now: Date;
  readonly modelStatus: number;
  /** Whether the request's body is known. */
  readonly hasBody: boolean;
  /** Where it would come from, if that is known. */
  readonly address: string | undefined;
}

function unknownAddress({ principal: { allowedIps } }: Asked): Step[] {
  if (allowedIps.length === 0) return [];
  return [{ check: 'key.address', outcome: 'unknown', detail: `only from ${allowedIps.join(', ')}` }];
}

/** Checks of the caller and of the call, in the order in which a request meets them; all of them, also behind a refusal. */
export function traceDecision(asked: Asked, { now, modelStatus, hasBody, address }: Asking): Decided {
  const caller = { principal: asked.principal, now, address: () => address ?? '' };
  return {
    caller: callerChecks.flatMap((check) =>
      check.rule === 'key.address' && address === undefined ? unknownAddress(asked) : stepOf(check, caller, 401),
    ),
    call: decisionChecks.flatMap((check) => {
      // What a request would hold is not known without one.
      const detail = check.rule === 'key.params' && !hasBody ? check.basis(asked) : undefined;
      return detail === undefined
        ? stepOf(check, asked, modelStatus)
        : [{ check: check.rule, outcome: 'unknown' as const, detail }];
    }),
  };
}

function stepOf<Subject>({ rule, deny, basis }: Check<Subject>, subject: Subject, modelStatus: number): Step[] {
  const denial: Denial | undefined = deny(subject);
  const detail = basis(subject);
  if (denial) {
    const error = asError(denial, modelStatus);
    return [{ check: rule, outcome: 'deny', detail: error.message, error }];
  }
  return detail === undefined ? [] : [{ check: rule, outcome: 'pass', detail }];
}

/** Budgets and limits, as admission would look at them. @param isLive whether the calls of this moment are counted here */
export function traceHeadroom(
  { budgets, rates }: Headroom,
  { isLive, now, isObserved }: { isLive: boolean; now: Date; isObserved: boolean },
): Step[] {
  const steps = [...rates.map((room) => rateStep(room, { isLive, now })), ...budgets.flatMap(budgetStep)];
  return isObserved ? steps.map(observed) : steps;
}

const observed = ({ outcome, error, ...step }: Step): Step =>
  outcome === 'deny' ? { ...step, outcome: 'observe' } : { ...step, outcome, error };

function rateStep(
  { limit, kind, most, used, waitMs, refusal }: Headroom['rates'][number],
  { isLive, now }: { isLive: boolean; now: Date },
): Step {
  const { entity, label, model } = limit;
  const whose = `${entity} ${label}${model === undefined ? '' : ` for ${model}`}`;
  const check = `${entity}.${kind === 'max_parallel_requests' ? 'parallel' : kind}`;
  const what = kind === 'max_parallel_requests' ? 'calls at once' : `${kind} a minute`;
  // Each daemon counts its own calls, so nothing is known of them elsewhere; that a call never fits is known all the same.
  const isCertain = isLive || (refusal !== undefined && waitMs === undefined);
  if (!isCertain) {
    return { check, outcome: 'unknown', detail: `${whose}: ${most} ${what}, counted by the daemon`, limit: most };
  }
  return {
    check,
    outcome: refusal ? 'deny' : 'pass',
    detail: refusal ? refusal.message : `${whose}: ${used} of ${most} ${what}`,
    limit: most,
    used,
    left: Math.max(0, most - used),
    freesAt: waitMs === undefined ? undefined : new Date(now.getTime() + waitMs),
    error: refusal,
  };
}

function budgetStep({ limit, max, cost, reserved, endMs, refusal }: Headroom['budgets'][number]): Step[] {
  const { entity, label, model, duration } = limit;
  if (max === null) return [];
  const whose = `${entity} ${label}${model === undefined ? '' : ` for ${model}`}`;
  const left = max - cost - reserved;
  return [
    {
      check: `${entity}.budget`,
      outcome: refusal ? 'deny' : 'pass',
      detail: refusal
        ? [refusal.message, refusal.hint].filter(Boolean).join('. ')
        : `${whose}: ${toDollars(cost)} of ${toDollars(max)} USD${duration === undefined ? '' : ` for ${duration}`}`,
      limit: toDollars(max),
      used: toDollars(cost),
      reserved: toDollars(reserved),
      left: toDollars(left > 0n ? left : 0n),
      freesAt: Number.isFinite(endMs) ? new Date(endMs) : undefined,
      error: refusal,
    },
  ];
}
