import type { DeploymentState } from './deployment-state.ts';
import { type Failure, meanings } from './failure.ts';
import type { RoutingSettings } from './routing-settings.ts';

export interface LeaseOptions {
  readonly settings: RoutingSettings;
  readonly now: () => number;
  /** As estimated. */
  readonly tokens: number;
  /** Whether nobody else could have taken the call. */
  readonly isAlone: boolean;
}

const usualFails = 3;
/** An upstream that asks for more than this is tried again earlier. */
const longestCoolMs = 60_000;

/** A deployment while one attempt has it. Over once: what is told later changes nothing. */
export class Lease {
  readonly state: DeploymentState;
  readonly #options: LeaseOptions;
  readonly #beganMs: number;
  readonly #isProbe: boolean;
  #isOver = false;

  constructor(state: DeploymentState, options: LeaseOptions) {
    this.state = state;
    this.#options = options;
    this.#beganMs = options.now();
    this.#isProbe = state.begin(options.tokens, this.#beganMs);
  }

  get isHeld(): boolean {
    return !this.#isOver;
  }

  /** A sound answer has begun. */
  answered(): void {
    if (this.#isOver) return;
    const nowMs = this.#options.now();
    this.state.answered(nowMs - this.#beganMs, nowMs, this.#isProbe);
  }

  /** @param tokens it used; undefined where nobody knows, which leaves what it began with */
  release(tokens?: number): void {
    if (this.#isOver) return;
    this.#isOver = true;
    const correction = tokens === undefined ? 0 : tokens - this.#options.tokens;
    this.state.end(correction, this.#beganMs, this.#isProbe);
  }

  /** All daemons together have used it up: the call is not made there. */
  full(forMs: number): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.state.fill(forMs, { tokens: this.#options.tokens, beganMs: this.#beganMs, wasProbe: this.#isProbe });
  }

  /** @returns whether the deployment is left out from now on, for having failed */
  failed(failure: Failure): boolean {
    if (this.#isOver) return false;
    this.release();
    const { kind, retryAfterMs = 0 } = failure;
    const { settings, now, isAlone } = this.#options;
    const allowed = this.#allowed(kind);
    if (allowed === undefined) return false;
    const nowMs = now();
    if (meanings[kind].cools === 'when always' && this.state.hasAnswered(nowMs)) return false;
    const failures = this.state.failed(nowMs - this.#beganMs, nowMs);
    const cooldownMs = this.state.rules.cooldownMs ?? settings.cooldownMs;
    const isExempt = cooldownMs <= 0 || (isAlone && settings.allowedFails === undefined);
    if (isExempt || (failures <= allowed && !this.#isProbe)) return false;
    this.state.cool(Math.max(cooldownMs, Math.min(retryAfterMs, longestCoolMs)), nowMs);
    return true;
  }

  /** How many failures of a kind a deployment may have in a minute; undefined where it is not the deployment's. */
  #allowed(kind: Failure['kind']): number | undefined {
    const { allowedFails, allowedFailsPolicy } = this.#options.settings;
    const own = allowedFailsPolicy[kind];
    if (own !== undefined) return own;
    const { cools } = meanings[kind];
    if (cools === 'never') return undefined;
    return cools === 'at once' ? 0 : (allowedFails ?? usualFails);
  }
}
