import { type ModelScope, plainScope } from '../access/decide.ts';
import { accessGroupsOf, type Deployment, publicNameOf, teamOf } from '../models/deployment.ts';
import type { GroupAlias } from '../routing/routing-settings.ts';

/** Where a call goes. */
export interface Target {
  readonly deployment: Deployment;
  /** The model's name as the upstream knows it. */
  readonly upstreamModel: string;
}

/** Deployments behind one name. Its scope is what `decide` has to know of the model. */
export interface Group {
  readonly deployments: readonly Deployment[];
  readonly scope: ModelScope;
}

/** A name, and what stands behind it. */
export interface Routed {
  /** The name that is served: what an alias stands for. */
  readonly name: string;
  readonly group: Group;
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
  #byId: ReadonlyMap<string, Deployment> = new Map();
  #aliases: ReadonlyMap<string, GroupAlias>;

  /** @param aliases further names of models, which everybody may use for what they may call */
  constructor(deployments: readonly Deployment[] = [], aliases: ReadonlyMap<string, GroupAlias> = new Map()) {
    this.#aliases = aliases;
    this.replace(deployments);
  }

  replace(deployments: readonly Deployment[], aliases = this.#aliases): void {
    this.#aliases = aliases;
    const byTeam = Map.groupBy(deployments, (deployment) => teamOf(deployment));
    this.#deployments = Object.freeze([...deployments]);
    // One behind a pattern serves many names, so its id alone does not say which.
    this.#byId = new Map(deployments.filter(({ name }) => !name.includes('*')).map((each) => [each.id, each]));
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
    const shown = [...this.#aliases].flatMap(([name, { model, hidden }]) =>
      !hidden && this.has(model, teamId) ? [name] : [],
    );
    const names = this.#both(teamId, ({ exact }) => [...exact.keys()]);
    return shown.length === 0 ? names : [...new Set([...names, ...shown])];
  }

  patterns(teamId: string | null = null): readonly string[] {
    return this.#both(teamId, ({ patterns }) => patterns.map(({ name }) => name));
  }

  hasTeam(teamId: string): boolean {
    return this.#teams.has(teamId);
  }

  has(model: string, teamId: string | null = null): boolean {
    return this.resolve(model, teamId) !== undefined;
  }

  /** What is to be known of a model before anybody may call it. Whoever may call a model may call it by its alias. */
  scopeOf(model: string, teamId: string | null): ModelScope {
    const routed = this.resolve(model, teamId);
    if (!routed) return plainScope;
    const { name, group } = routed;
    if (name === model) return group.scope;
    return { ...group.scope, groups: new Set([...group.scope.groups, name]) };
  }

  /**
   * The deployments that serve a model: an exact name wins over a pattern, a longer pattern over a shorter. The id of a
   * deployment stands for that one alone, as in LiteLLM; what is decided on is its name.
   */
  resolve(model: string, teamId: string | null = null): Routed | undefined {
    const name = this.#aliases.get(model)?.model ?? model;
    const group = this.#exact(name, teamId);
    if (group) return { name, group };
    return this.#single(name, teamId) ?? this.#matching(name, teamId);
  }

  /** Any one of the deployments that serve a model, for whoever wants to know what a call would be like. */
  find(model: string, teamId: string | null = null): Target | undefined {
    const routed = this.resolve(model, teamId);
    const [deployment] = routed?.group.deployments ?? [];
    return routed && deployment && targetOf(routed, deployment);
  }

  /**
   * Where something is that a deployment has left at its upstream: there, or for a call of another model, at those of the
   * model's that have the same account.
   */
  keepers(
    deploymentId: string,
    model: string,
    { teamId, isExact }: { readonly teamId: string | null; readonly isExact: boolean },
  ): Routed | undefined {
    const keeper = isExact ? this.#deployments.find(({ id }) => id === deploymentId) : this.#byId.get(deploymentId);
    if (!keeper) return undefined;
    if (isExact) return { name: publicNameOf(keeper), group: groupOf([keeper]) };
    const routed = this.resolve(model, teamId);
    if (!routed) return undefined;
    const deployments = routed.group.deployments.filter((each) => isSameAccount(each, keeper));
    return deployments.length === 0 ? undefined : { ...routed, group: { ...routed.group, deployments } };
  }

  #exact(model: string, teamId: string | null): Group | undefined {
    const own = teamId === null ? undefined : this.#teams.get(teamId);
    return own?.exact.get(model) ?? this.#shared.exact.get(model);
  }

  #single(id: string, teamId: string | null): Routed | undefined {
    const deployment = this.#byId.get(id);
    if (!deployment) return undefined;
    const team = teamOf(deployment);
    if (team !== undefined && team !== teamId) return undefined;
    return { name: publicNameOf(deployment), group: groupOf([deployment]) };
  }

  #matching(model: string, teamId: string | null): Routed | undefined {
    const own = teamId === null ? undefined : this.#teams.get(teamId);
    const group =
      own?.patterns.find((pattern) => matches(pattern, model)) ??
      this.#shared.patterns.find((pattern) => matches(pattern, model));
    return group && { name: model, group };
  }

  #both(teamId: string | null, of: (names: Names) => readonly string[]): readonly string[] {
    const own = teamId === null ? undefined : this.#teams.get(teamId);
    return own ? [...new Set([...of(own), ...of(this.#shared)])] : of(this.#shared);
  }
}

/** Where a call of a model goes at one of its deployments. */
export function targetOf({ name, group }: Routed, deployment: Deployment): Target {
  if (!isPattern(group)) return { deployment, upstreamModel: deployment.upstreamModel };
  const matched = name.slice(group.prefix.length, name.length - group.suffix.length);
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
