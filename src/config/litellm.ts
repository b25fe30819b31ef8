import { dirname, isAbsolute, join } from 'node:path';
import type { Deployment } from '../models/deployment.ts';
import type { AlertSettings } from '../alerts/alert-settings.ts';
import type { CallbackSettings } from '../callbacks/callback-settings.ts';
import { alertPaths, readAlerts } from './alerts.ts';
import { callbackPaths, callbackSection, readCallbacks } from './callbacks.ts';
import { readModelList, unknownKey } from './deployments.ts';
import { type JwtFile, jwtPaths, readJwt } from './jwt.ts';
import { keySettingPaths, readKeySettings, type KeySettings } from './key-settings.ts';
import { protective, unserved, unservedSections } from './litellm-keys.ts';
import { showName, showPlace, type Place, type Problems } from './problems.ts';
import { Resolver, type Environment } from './resolver.ts';
import { readRouting, routingPaths, type RoutingFile, warnOfStrangers } from './routing.ts';
import { settingNames, settingOf, type SettingName } from './settings.ts';
import { passThroughPaths, readPassThroughs } from './pass-through.ts';
import { type PassThroughEndpoint, providerVariables } from '../kernel/pass-through.ts';
import { readUserSettings, userSettingPaths, type UserSettings } from './user-settings.ts';
import { readYaml, type Entry, type ScalarTree, type Tree } from './yaml.ts';

/** Something in the file that has no effect here. To be logged at start, and shown by `config validate`. */
export interface ConfigWarning {
  /** `config.yaml:12:3` */
  readonly where: string;
  /** `router_settings.routing_strategy` */
  readonly key: string;
  /** Goes on where the key leaves off: `is LiteLLM’s; …`. */
  readonly message: string;
}

export interface FileSetting {
  readonly scalar: ScalarTree;
  /** What a bare number counts where it stands. */
  readonly unit: 's' | 'MiB' | undefined;
}

export interface LitellmConfig {
  /** For each setting the places that give it, strongest first. */
  readonly settings: ReadonlyMap<SettingName, readonly FileSetting[]>;
  /** `environment_variables`: settings may come by way of these, too. */
  readonly variables: ReadonlyMap<string, ScalarTree>;
  readonly deployments: readonly Deployment[];
  readonly keySettings: KeySettings;
  readonly userSettings: UserSettings;
  readonly jwt: JwtFile;
  readonly routing: RoutingFile;
  readonly passThroughs: readonly PassThroughEndpoint[];
  readonly callbacks: CallbackSettings;
  readonly alerts: AlertSettings;
  readonly warnings: readonly ConfigWarning[];
  /** Values that must never be shown. */
  readonly secrets: readonly string[];
  readonly resolver: Resolver;
}

const sections = ['general_settings', 'litellm_settings', 'router_settings', 'gatewayctl'] as const;
const topLevel: readonly string[] = [...sections, callbackSection, 'model_list', 'environment_variables', 'include'];

/** Where in a file each setting may stand: path -> setting, its rank among the setting's places, unit. */
const places = new Map(
  settingNames.flatMap((name) =>
    settingOf(name).file.map((place, rank) => {
      const { path, unit } = typeof place === 'string' ? { path: place, unit: undefined } : place;
      return [path, { name, rank, unit }] as const;
    }),
  ),
);

/** Settings that are more than one value; what is in them is read once everything they may refer to is known. */
const structures: ReadonlySet<string> = new Set([
  ...keySettingPaths,
  ...userSettingPaths,
  ...jwtPaths,
  ...routingPaths,
  ...passThroughPaths,
  ...callbackPaths,
  ...alertPaths,
]);

const mostFiles = 20;

/** Reads a configuration file of LiteLLM, and the files it includes. What is wrong goes to `problems`. */
export function readLitellmConfig(path: string, reading: Reading): LitellmConfig {
  return new Reader(reading).read(path);
}

export interface Reading {
  readonly env: Environment;
  readonly problems: Problems;
  /** Told of each file before it is read. */
  readonly onFile?: ((path: string) => void) | undefined;
}

class Reader {
  readonly #env: Environment;
  readonly #problems: Problems;
  readonly #seen = new Map<string, Place>();
  readonly #models: Tree[] = [];
  readonly #settings = new Map<SettingName, FileSetting[]>();
  readonly #variables = new Map<string, ScalarTree>();
  /** Settings that are more than one value, by path. */
  readonly #structures = new Map<string, Tree>();
  readonly #warnings: ConfigWarning[] = [];
  readonly #onFile: (path: string) => void;
  #files = 0;

  constructor({ env, problems, onFile }: Reading) {
    this.#env = env;
    this.#problems = problems;
    this.#onFile = onFile ?? (() => undefined);
  }

  read(path: string): LitellmConfig {
    this.#file(path);
    const secrets: string[] = [];
    const resolver = new Resolver(this.#env, this.#ownVariables(secrets), this.#problems);
    const context = {
      problems: this.#problems,
      resolver,
      warn: (at: Place, key: string, message?: string) => this.#warn(at, key, message),
      secret: (value: string) => secrets.push(value),
    };
    // One list for all files, because ids must be unique among them.
    const items = this.#models.flatMap((list) => (list.kind === 'list' ? list.items : [list]));
    const [first] = this.#models;
    const deployments = first ? readModelList({ kind: 'list', at: first.at, items }, context) : [];
    const keySettings = readKeySettings(this.#structures, context);
    const userSettings = readUserSettings(this.#structures, context);
    const jwt = readJwt(this.#structures, context);
    const routing = readRouting(this.#structures, context);
    warnOfStrangers(routing, this.#structures, { deployments, warn: context.warn });
    const passThroughs = readPassThroughs(this.#structures, context);
    const callbacks = readCallbacks(this.#structures, context);
    const alerts = readAlerts(this.#structures, context);
    this.#warnOfIdleVariables(resolver);
    return {
      passThroughs,
      callbacks,
      alerts,
      settings: this.#settings,
      variables: this.#variables,
      warnings: this.#warnings,
      deployments,
      keySettings,
      userSettings,
      jwt,
      routing,
      secrets,
      resolver,
    };
  }

  #file(path: string): void {
    if (++this.#files > mostFiles) {
      this.#problems.add(path, `more than ${mostFiles} files are included`);
      return;
    }
    this.#onFile(path);
    const tree = readYaml(path, this.#problems);
    if (!tree || (tree.kind === 'scalar' && tree.value === null)) return;
    if (tree.kind !== 'map') {
      this.#problems.add(tree.at, 'the file must hold a mapping, such as model_list: …');
      return;
    }
    for (const [name, entry] of tree.entries) this.#topLevel(name, entry, path);
  }

  #topLevel(name: string, entry: Entry, path: string): void {
    const { value, at } = entry;
    if (value.kind === 'scalar' && value.value === null && topLevel.includes(name)) return;
    if (name === 'model_list') this.#modelList(value);
    else if (name === 'include') this.#include(value, path);
    else if (name === 'environment_variables') this.#environment(value);
    else if (name === callbackSection) this.#once(name, at, () => this.#structures.set(name, value));
    else if (sections.some((section) => section === name)) this.#section(name, value);
    else if (unservedSections.has(name)) this.#warn(at, name);
    else this.#problems.add(at, unknownKey(name, [...topLevel, ...unservedSections]));
  }

  #modelList(value: Tree): void {
    if (value.kind === 'list') this.#models.push(value);
    else this.#problems.add(value.at, 'model_list must be a list');
  }

  #include(value: Tree, from: string): void {
    const items = value.kind === 'list' ? value.items : [value];
    for (const item of items) {
      const isPath = item.kind === 'scalar' && typeof item.value === 'string' && !item.text.includes('\0');
      if (!isPath) this.#problems.add(item.at, 'include must be a list of paths');
      else this.#file(isAbsolute(item.text) ? item.text : join(dirname(from), item.text));
    }
  }

  #environment(value: Tree): void {
    if (value.kind !== 'map') {
      this.#problems.add(value.at, 'environment_variables must be a mapping');
      return;
    }
    for (const [name, { at, value: given }] of value.entries) {
      if (given.kind !== 'scalar') this.#problems.add(given.at, 'the value of a variable must be a text');
      else this.#once(`environment_variables.${name}`, at, () => this.#variables.set(name, given));
    }
  }

  /** Values of the file's own variables. They may refer to the environment, but not to each other. */
  #ownVariables(secrets: string[]): Map<string, string> {
    const outside = new Resolver(this.#env, new Map(), this.#problems);
    const own = new Map<string, string>();
    for (const [name, scalar] of this.#variables) {
      const value = outside.text(scalar);
      if (value === undefined) continue;
      own.set(name, value);
      // Whatever is put into an environment may be a credential; a number or a word such as "true" is none.
      if (value.length >= 12) secrets.push(value);
    }
    return own;
  }

  #warnOfIdleVariables(resolver: Resolver): void {
    const ofSettings = new Set(settingNames.flatMap((name) => settingOf(name).env));
    for (const [name, { at }] of this.#variables) {
      if (resolver.used.has(name) || ofSettings.has(name) || providerVariables.has(name)) continue;
      this.#warn(
        at,
        `environment_variables.${showName(name) ?? '…'}`,
        'is used by no os.environ/ reference in this file',
      );
    }
  }

  #section(path: string, value: Tree): void {
    if (value.kind !== 'map') {
      this.#problems.add(value.at, `${path} must be a mapping`);
      return;
    }
    for (const [name, entry] of value.entries) this.#entry(path, name, entry);
  }

  #entry(section: string, name: string, { at, value }: Entry): void {
    const path = `${section}.${name}`;
    const isNull = value.kind === 'scalar' && value.value === null;
    const place = places.get(path);
    if (place) {
      if (isNull) return;
      const { isList = false } = settingOf(place.name);
      const single = isList ? joined(value) : value;
      if (single.kind === 'scalar') this.#once(path, at, () => this.#set(place, single));
      else
        this.#problems.add(
          value.at,
          `${path} must be ${isList ? 'one value or a list of at least one' : 'a single value'}`,
        );
    } else if (structures.has(path)) {
      if (!isNull) this.#once(path, at, () => this.#structures.set(path, value));
    } else if (isGroup(path)) {
      if (!isNull) this.#section(path, value);
    } else if (!unserved[section]?.has(name)) {
      this.#problems.add(at, unknownKey(name, [...namesIn(section), ...(unserved[section] ?? [])]));
    } else if (!isNull) this.#warn(at, path);
  }

  #set({ name, rank, unit }: { name: SettingName; rank: number; unit: FileSetting['unit'] }, scalar: ScalarTree): void {
    const given = this.#settings.get(name) ?? [];
    given[rank] = { scalar, unit };
    this.#settings.set(name, given);
  }

  #once(path: string, at: Place, act: () => void): void {
    const before = this.#seen.get(path);
    if (before) this.#problems.add(at, `${showName(path) ?? 'this'} is already set at ${showPlace(before)}`);
    else {
      this.#seen.set(path, at);
      act();
    }
  }

  #warn(at: Place, key: string, message?: string): void {
    const isProtective = protective.has(key.slice(key.lastIndexOf('.') + 1));
    const served = isProtective
      ? 'restricts something in LiteLLM; gatewayctl does not serve it, and it restricts nothing here'
      : 'is LiteLLM’s; gatewayctl does not serve it, and it has no effect';
    this.#warnings.push({ where: showPlace(at), key, message: message ?? served });
  }
}

/** A list of single values as one text. */
function joined(value: Tree): Tree {
  if (value.kind !== 'list' || value.items.length === 0) return value;
  const texts = value.items.map((item) => (item.kind === 'scalar' ? item.text : undefined));
  if (texts.includes(undefined)) return value;
  const text = texts.join(',');
  return { kind: 'scalar', at: value.at, text, value: text };
}

const isGroup = (path: string): boolean => [...places.keys()].some((place) => place.startsWith(`${path}.`));

/** Names that settings have directly below a section. */
function namesIn(section: string): string[] {
  const below = [...places.keys(), ...structures].filter((path) => path.startsWith(`${section}.`));
  return [...new Set(below.map((path) => path.slice(section.length + 1).split('.')[0] ?? ''))];
}

/** The model of `npm start`: answers without a provider account, and has prices so that the first call shows a cost. */
export function builtinMock(): Deployment {
  return {
    id: 'builtin-mock-gpt',
    name: 'mock-gpt',
    provider: 'mock',
    upstreamModel: 'mock-gpt',
    apiBase: undefined,
    apiKey: undefined,
    source: 'builtin',
    info: { id: 'builtin-mock-gpt', mode: 'chat', input_cost_per_token: 1.5e-7, output_cost_per_token: 6e-7 },
    params: {},
  };
}
