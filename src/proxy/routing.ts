import type { Deployment } from '../models/deployment.ts';

/** Where a call goes. */
export interface Target {
  readonly deployment: Deployment;
  /** The model's name as the upstream knows it. */
  readonly upstreamModel: string;
}

interface Pattern {
  readonly name: string;
  readonly prefix: string;
  readonly suffix: string;
  readonly deployments: Deployment[];
}

/** Which deployments stand behind which model names. Replaced whole, so that a call never sees half a change. */
export class DeploymentTable {
  #deployments: readonly Deployment[] = [];
  #exact: ReadonlyMap<string, readonly Deployment[]> = new Map();
  #patterns: readonly Pattern[] = [];

  constructor(deployments: readonly Deployment[] = []) {
    this.replace(deployments);
  }

  replace(deployments: readonly Deployment[]): void {
    const byName = Map.groupBy(deployments, ({ name }) => name);
    const patterns = [...byName].filter(([name]) => name.includes('*'));
    this.#deployments = Object.freeze([...deployments]);
    this.#exact = new Map([...byName].filter(([name]) => !name.includes('*')));
    this.#patterns = patterns
      .map(([name, group]) => toPattern(name, group))
      // The longer what must match literally, the more specific: `openai/gpt-*`, then `openai/*`, then `*`.
      .toSorted((one, other) => other.name.length - one.name.length);
  }

  get all(): readonly Deployment[] {
    return this.#deployments;
  }

  /** The model names that can be listed, in the order they were configured. */
  get names(): readonly string[] {
    return [...this.#exact.keys()];
  }

  get patterns(): readonly string[] {
    return this.#patterns.map(({ name }) => name);
  }

  has(model: string): boolean {
    return this.#exact.has(model) || this.#patterns.some((pattern) => matches(pattern, model));
  }

  /** One of the deployments that serve a model: an exact name wins over a pattern, a longer pattern over a shorter. */
  find(model: string): Target | undefined {
    const exact = this.#exact.get(model);
    if (exact) {
      const deployment = pick(exact);
      return deployment && { deployment, upstreamModel: deployment.upstreamModel };
    }
    const pattern = this.#patterns.find((candidate) => matches(candidate, model));
    const deployment = pattern && pick(pattern.deployments);
    if (!deployment) return undefined;
    const matched = model.slice(pattern.prefix.length, model.length - pattern.suffix.length);
    // A function, because in a replacement text `$&` and its kind have a meaning of their own.
    return { deployment, upstreamModel: deployment.upstreamModel.replace('*', () => matched) };
  }
}

/** Only the first `*` of a name is one. */
function toPattern(name: string, deployments: Deployment[]): Pattern {
  const star = name.indexOf('*');
  return { name, prefix: name.slice(0, star), suffix: name.slice(star + 1), deployments };
}

function matches({ prefix, suffix }: Pattern, model: string): boolean {
  return model.length > prefix.length + suffix.length && model.startsWith(prefix) && model.endsWith(suffix);
}

/** Evenly at random. Weights and cool-downs come with retries, not before. */
function pick(deployments: readonly Deployment[]): Deployment | undefined {
  if (deployments.length === 1) return deployments[0];
  return deployments[Math.floor(Math.random() * deployments.length)];
}
