import { isDeepStrictEqual } from 'node:util';
import { GatewayError } from '../kernel/errors.ts';
import type { Deployment } from '../models/deployment.ts';
import { choose } from './choose.ts';
import { DeploymentState } from './deployment-state.ts';
import { Lease } from './lease.ts';
import type { RoutingSettings } from './routing-settings.ts';
import { withTags } from './tags.ts';

export interface RouterOptions {
  readonly settings: RoutingSettings;
  /** Milliseconds of a clock that only goes forward. */
  readonly now?: () => number;
  /** From 0 up to 1. */
  readonly random?: () => number;
  /** What a token costs at a deployment, in any unit. */
  readonly costOf?: (deployment: Deployment) => number;
  /** Deployments remembered by id while others have taken their place in the list. */
  readonly most?: number;
}

export interface Wanted {
  /** The model's name, for messages. */
  readonly model: string;
  /** Those of its prompt, and of its answer as far as the request limits that. */
  readonly tokens: number;
  readonly tags: readonly string[];
  /** Deployments that this call has failed at: taken again only when there is no other. */
  readonly tried?: ReadonlySet<Deployment> | undefined;
}

const noDeployments = (model: string, why: string, waitMs: number): GatewayError => {
  const seconds = Math.max(1, Math.ceil(waitMs / 1_000));
  return new GatewayError(
    'limited',
    'no_deployments_available',
    `No deployments available for selected model ${model}: ${why}. Try again in ${seconds} seconds`,
    { headers: { 'retry-after': String(seconds) } },
  );
};

/**
 * Chooses among the deployments of a model, by what it has seen of them. In this process alone: each daemon finds out for
 * itself, so that none of them waits for another. Synchronous: between finding room at a deployment and taking it comes nothing.
 */
export class Router {
  readonly settings: RoutingSettings;
  readonly now: () => number;
  readonly random: () => number;
  readonly #costOf: (deployment: Deployment) => number;
  readonly #most: number;
  /** Keyed by the deployment as it is, so that what was replaced is forgotten with it. */
  readonly #states: WeakMap<Deployment, DeploymentState>;
  readonly #byId: Map<string, DeploymentState>;

  /** @param before whose memory of deployments it shares */
  constructor({ settings, now, random, costOf, most = 10_000 }: RouterOptions, before?: Router) {
    this.settings = settings;
    this.now = now ?? (() => performance.now());
    this.random = random ?? Math.random;
    this.#costOf = costOf ?? (() => 0);
    this.#most = most;
    this.#states = before ? before.#states : new WeakMap();
    this.#byId = before ? before.#byId : new Map();
  }

  /** One that goes by other settings, and knows what this one knows: also what becomes of the leases it has given out. */
  with(settings: RoutingSettings): Router {
    const { now, random } = this;
    return new Router({ settings, now, random, costOf: this.#costOf, most: this.#most }, this);
  }

  /**
   * Takes one of the deployments for an attempt, until its lease is released.
   *
   * @throws GatewayError 429 `no_deployments_available` when all of them are at a limit or left out; 401
   *   `no_deployments_with_tags` when none is for the tags of the call
   */
  take(deployments: readonly Deployment[], wanted: Wanted): Lease {
    const nowMs = this.now();
    const [only] = deployments;
    // Most models have one: nothing is made for the choice among it.
    if (only && deployments.length === 1 && !this.settings.tagFiltering) {
      const state = this.stateOf(only);
      if (waitOf(state, wanted, nowMs) === 0) return this.#lease(state, wanted, true);
    }
    const states = withTags(
      deployments.map((each) => this.stateOf(each)),
      wanted,
      this.settings,
    );
    const ready = states.filter((state) => waitOf(state, wanted, nowMs) === 0);
    if (ready.length === 0) throw this.#shortage(states, wanted, nowMs);
    const { tried } = wanted;
    const fresh = tried && ready.filter(({ deployment }) => !tried.has(deployment));
    const { settings, random } = this;
    const state = choose(fresh?.length ? fresh : ready, {
      ...settings,
      nowMs,
      random,
      costOf: ({ deployment }) => this.#costOf(deployment),
    });
    if (!state) throw this.#shortage(states, wanted, nowMs);
    return this.#lease(state, wanted, deployments.length === 1);
  }

  stateOf(deployment: Deployment): DeploymentState {
    let state = this.#states.get(deployment);
    if (!state) {
      state = this.#kept(deployment) ?? new DeploymentState(deployment);
      this.#states.set(deployment, state);
      this.#remember(deployment.id, state);
    }
    return state;
  }

  #lease(state: DeploymentState, { tokens }: Wanted, isAlone: boolean): Lease {
    return new Lease(state, { settings: this.settings, now: this.now, tokens, isAlone });
  }

  /** A list that was read anew has new objects for what has not changed. */
  #kept(deployment: Deployment): DeploymentState | undefined {
    const state = this.#byId.get(deployment.id);
    return state && isDeepStrictEqual(state.deployment, deployment) ? state : undefined;
  }

  #remember(id: string, state: DeploymentState): void {
    this.#byId.delete(id);
    this.#byId.set(id, state);
    if (this.#byId.size <= this.#most) return;
    const [oldest] = this.#byId.keys();
    if (oldest !== undefined) this.#byId.delete(oldest);
  }

  #shortage(states: readonly DeploymentState[], wanted: Wanted, nowMs: number): GatewayError {
    const waitMs = Math.min(...states.map((state) => waitOf(state, wanted, nowMs)));
    const isFull = states.some((state) => state.coolsForMs(nowMs) === 0);
    const why = isFull ? 'each of them is at its limit' : 'all of them failed lately';
    return noDeployments(wanted.model, why, waitMs);
  }
}

const waitOf = (state: DeploymentState, { tokens }: Wanted, nowMs: number): number =>
  Math.max(state.coolsForMs(nowMs), state.isFullForMs(tokens, nowMs));
