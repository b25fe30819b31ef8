import { type ModelScope, plainScope } from '../access/decide.ts';
import { accessGroupsOf, type Deployment, publicNameOf, teamOf } from '../models/deployment.ts';

/** Where a call goes. */
export interface Target {
  readonly deployment: Deployment;
  /** The model's name as the upstream knows it. */
  readonly upstreamModel: string;
}

/** Deployments behind one name. Its scope is what `decide` has to know of the model. */
interface Group {
  readonly deployments: readonly Deployment[];
  readonly scope: ModelScope;
}

interface Pattern extends Group {
  readonly name: string;
  readonly prefix: string;
  readonly suffix: string;
}

/** The names of everybody's deployments, or of one team's. */
interface Names {
  readonly exact: ReadonlyMap<string, Group>;
  readonly patterns: readonly Pattern[];
}

const none: Names = { exact: new Map(), patterns: [] };

/**
 * Which deployments stand behind which model names. Replaced whole, so that a call never sees half a change. A team's own
 * deployments are seen by its keys alone, and come before everybody's of the same name.
 */
export class DeploymentTable {
  #deployments: readonly Deployment[] = [];
  #shared: Names = none;
  #teams: ReadonlyMap<string, Names> = new Map();

  constructor(deployments: readonly Deployment[] = []) {
    this.replace(deployments);
  }

  replace(deployments: readonly Deployment[]): void {
    const byTeam = Map.groupBy(deployments, (deployment) => teamOf(deployment));
    this.#deployments = Object.freeze([...deployments]);
    this.#shared = namesOf(byTeam.get(undefined) ?? []);
    this.#teams = new Map(
      [...byTeam].flatMap(([team, own]) => (team === undefined ? [] : [[team, namesOf(own)] as const])),
    );
  }

  get all(): readonly Deployment[] {
    return this.#deployments;
  }

  /** The model names that can be listed, in the order they were configured; those of a team before everybody's. */
  names(teamId: string | null = null): readonly string[] {
    return this.#both(teamId, ({ exact }) => [...exact.keys()]);
  }

  patterns(teamId: string | null = null): readonly string[] {
    return this.#both(teamId, ({ patterns }) => patterns.map(({ name }) => name));
  }

  hasTeam(teamId: string): boolean {
    return this.#teams.has(teamId);
  }

  has(model: string, teamId: string | null = null): boolean {
    return this.#group(model, teamId) !== undefined;
  }

  /** What is to be known of a model before anybody may call it. */
  scopeOf(model: string, teamId: string | null): ModelScope {
    return this.#group(model, teamId)?.scope ?? plainScope;
  }

  /** One of the deployments that serve a model: an exact name wins over a pattern, a longer pattern over a shorter. */
  find(model: string, teamId: string | null = null): Target | undefined {
    const group = this.#group(model, teamId);
    const deployment = group && pick(group.deployments);
    return deployment && targetOf(group, deployment, model);
  }

  /**
   * Where something is that a deployment has left at its upstream: there, or for a call of another model, at one of the
   * model's that has the same account.
   */
  findKeeper(
    deploymentId: string,
    model: string,
    teamId: string | null,
    { isExact }: { isExact: boolean },
  ): Target | undefined {
    const keeper = this.#deployments.find(({ id }) => id === deploymentId);
    if (!keeper) return undefined;
    if (isExact) return { deployment: keeper, upstreamModel: keeper.upstreamModel };
    const group = this.#group(model, teamId);
    const deployment = group && pick(group.deployments.filter((each) => isSameAccount(each, keeper)));
    return deployment && targetOf(group, deployment, model);
  }

  #group(model: string, teamId: string | null): Group | Pattern | undefined {
    const own = teamId === null ? undefined : this.#teams.get(teamId);
    return (
      own?.exact.get(model) ??
      this.#shared.exact.get(model) ??
      own?.patterns.find((pattern) => matches(pattern, model)) ??
      this.#shared.patterns.find((pattern) => matches(pattern, model))
    );
  }

  #both(teamId: string | null, of: (names: Names) => readonly string[]): readonly string[] {
    const own = teamId === null ? undefined : this.#teams.get(teamId);
    return own ? [...new Set([...of(own), ...of(this.#shared)])] : of(this.#shared);
  }
}

function targetOf(group: Group | Pattern, deployment: Deployment, model: string): Target {
  if (!isPattern(group)) return { deployment, upstreamModel: deployment.upstreamModel };
  const matched = model.slice(group.prefix.length, model.length - group.suffix.length);
  // A function, because in a replacement text `$&` and its kind have a meaning of their own.
  return { deployment, upstreamModel: deployment.upstreamModel.replace('*', () => matched) };
}

const isSameAccount = (one: Deployment, other: Deployment): boolean =>
  one.provider === other.provider && one.apiBase === other.apiBase && one.apiKey === other.apiKey;

function namesOf(deployments: readonly Deployment[]): Names {
  const groups = [...Map.groupBy(deployments, publicNameOf)].map(([name, group]) => [name, groupOf(group)] as const);
  return {
    exact: new Map(groups.filter(([name]) => !name.includes('*'))),
    patterns: groups
      .filter(([name]) => name.includes('*'))
      .map(([name, group]) => toPattern(name, group))
      // The longer what must match literally, the more specific: `openai/gpt-*`, then `openai/*`, then `*`.
      .toSorted((one, other) => other.name.length - one.name.length),
  };
}

/** A group that one of the deployments behind a name is in lets the name through: what is decided on is the name. */
const groupOf = (deployments: readonly Deployment[]): Group => ({
  deployments,
  scope: {
    groups: new Set(deployments.flatMap(accessGroupsOf)),
    isOfTeam: deployments.some((deployment) => teamOf(deployment) !== undefined),
  },
});

const isPattern = (group: Group | Pattern): group is Pattern => 'prefix' in group;

/** Only the first `*` of a name is one. */
function toPattern(name: string, group: Group): Pattern {
  const star = name.indexOf('*');
  return { name, prefix: name.slice(0, star), suffix: name.slice(star + 1), ...group };
}

function matches({ prefix, suffix }: Pattern, model: string): boolean {
  return model.length > prefix.length + suffix.length && model.startsWith(prefix) && model.endsWith(suffix);
}

/** Evenly at random. Weights and cool-downs come with retries, not before. */
function pick(deployments: readonly Deployment[]): Deployment | undefined {
  if (deployments.length === 1) return deployments[0];
  return deployments[Math.floor(Math.random() * deployments.length)];
}
