import type { RateLimit } from '../access/principal.ts';
import { SlidingCount, slotAt } from '../metering/sliding-count.ts';
import type { Deployment } from '../models/deployment.ts';
import { type DeploymentRules, rulesOf } from './deployment-rules.ts';

/** Of how much weight the latest latency is: the last ten or so count. */
const smoothing = 0.2;

/** What a failure counts as: whoever refuses at once must not be the fastest. */
const failedMs = 10_000;

/** They may give something back at any time. */
const longestFullMs = 500;

function limitOf({ id, name }: Deployment, { rpm, tpm, parallel }: DeploymentRules): RateLimit | undefined {
  if (rpm === undefined && tpm === undefined && parallel === undefined) return undefined;
  return {
    entity: 'deployment',
    id,
    label: name,
    requests: rpm ?? null,
    tokens: tpm ?? null,
    parallel: parallel ?? null,
  };
}

/** What is known of one deployment at run time, in this process. Told what happens, and asked whether it can be called. */
export class DeploymentState {
  readonly deployment: Deployment;
  readonly rules: DeploymentRules;
  /** Its own limits, as all daemons together keep them; absent where it has none. */
  readonly limit: RateLimit | undefined;
  readonly #requests = new SlidingCount();
  readonly #tokens = new SlidingCount();
  readonly #failures = new SlidingCount();
  #inFlight = 0;
  #latencyMs = 0;
  #latencyAtMs = Number.NEGATIVE_INFINITY;
  #answeredAtMs = Number.NEGATIVE_INFINITY;
  /** Closed: everybody. Open: nobody until the time is over. Half open: one call finds out, the others wait. */
  #circuit: 'closed' | 'open' | 'half-open' = 'closed';
  #openUntilMs = 0;
  #fullUntilMs = 0;
  #isProbed = false;

  constructor(deployment: Deployment) {
    this.deployment = deployment;
    this.rules = rulesOf(deployment);
    this.limit = limitOf(deployment, this.rules);
  }

  get inFlight(): number {
    return this.#inFlight;
  }

  /** To the first byte; undefined when none was seen lately. */
  latencyMs(nowMs: number, ttlMs: number): number | undefined {
    return nowMs - this.#latencyAtMs <= ttlMs ? this.#latencyMs : undefined;
  }

  /** In the last minute. */
  hasAnswered(nowMs: number): boolean {
    return nowMs - this.#answeredAtMs < 60_000;
  }

  /** In the last minute. */
  tokens(nowMs: number): number {
    return this.#tokens.total(slotAt(nowMs));
  }

  /** Milliseconds until it can be tried again after its failures; zero when it can be. */
  coolsForMs(nowMs: number): number {
    if (this.#circuit === 'open' && nowMs >= this.#openUntilMs) this.#circuit = 'half-open';
    if (this.#circuit === 'closed') return 0;
    if (this.#circuit === 'open') return this.#openUntilMs - nowMs;
    // Nobody knows how long the probe takes.
    return this.#isProbed ? 1_000 : 0;
  }

  /** Milliseconds until its own limits have room for a call; zero when they have. */
  isFullForMs(tokens: number, nowMs: number): number {
    const { rpm, tpm, parallel } = this.rules;
    let waitMs = Math.max(0, this.#fullUntilMs - nowMs);
    if (parallel !== undefined && this.#inFlight >= parallel) waitMs = 1_000;
    if (rpm !== undefined) waitMs = Math.max(waitMs, waitOf(this.#requests, rpm, 1, nowMs));
    if (tpm !== undefined) waitMs = Math.max(waitMs, waitOf(this.#tokens, tpm, Math.max(1, tokens), nowMs));
    return waitMs;
  }

  /** @returns whether the call is the one that finds out whether it works again */
  begin(tokens: number, nowMs: number): boolean {
    this.#inFlight++;
    this.#requests.add(slotAt(nowMs), 1);
    this.#tokens.add(slotAt(nowMs), tokens);
    const isProbe = this.#circuit === 'half-open' && !this.#isProbed;
    if (isProbe) this.#isProbed = true;
    return isProbe;
  }

  /** A call is over, however it went. @param correction tokens it used beyond those it began with, counted at that time */
  end(correction: number, beganMs: number, wasProbe: boolean): void {
    this.#inFlight--;
    if (correction !== 0) this.#tokens.add(slotAt(beganMs), correction);
    if (wasProbe) this.#isProbed = false;
  }

  /** Other daemons have used it up; a call that was about to be made is not. */
  fill(forMs: number, { tokens, beganMs, wasProbe }: { tokens: number; beganMs: number; wasProbe: boolean }): void {
    this.end(-tokens, beganMs, wasProbe);
    this.#requests.add(slotAt(beganMs), -1);
    this.#fullUntilMs = beganMs + Math.min(forMs, longestFullMs);
  }

  /** A sound answer has begun. */
  answered(latencyMs: number, nowMs: number, wasProbe: boolean): void {
    this.#sample(latencyMs, nowMs);
    this.#answeredAtMs = nowMs;
    if (wasProbe) this.#circuit = 'closed';
  }

  /** @returns failures in the last minute, this one included */
  failed(afterMs: number, nowMs: number): number {
    this.#sample(Math.max(afterMs, failedMs), nowMs);
    this.#failures.add(slotAt(nowMs), 1);
    return this.#failures.total(slotAt(nowMs));
  }

  /** Leaves it out from now on. What was begun before is let go on, and its failures make this no longer. */
  cool(forMs: number, nowMs: number): void {
    if (this.#circuit === 'open' && this.#openUntilMs >= nowMs + forMs) return;
    this.#circuit = 'open';
    this.#openUntilMs = nowMs + forMs;
  }

  #sample(latencyMs: number, nowMs: number): void {
    const isFirst = this.#latencyAtMs === Number.NEGATIVE_INFINITY;
    this.#latencyMs = isFirst ? latencyMs : this.#latencyMs + smoothing * (latencyMs - this.#latencyMs);
    this.#latencyAtMs = nowMs;
  }
}

function waitOf(count: SlidingCount, most: number, wanted: number, nowMs: number): number {
  if (count.total(slotAt(nowMs)) + wanted <= most) return 0;
  return Math.max(1, count.waitFor(most - wanted, nowMs));
}
