import { dirname, isAbsolute, join, resolve } from 'node:path';
import type { AlertSettings } from '../alerts/alert-settings.ts';
import type { CallbackSettings } from '../callbacks/callback-settings.ts';
import type { Deployment } from '../models/deployment.ts';
import { noAlerts } from './alerts.ts';
import { noCallbacks } from './callbacks.ts';
import { jwtWarnings, resolveJwt } from './jwt.ts';
import type { JwtSettings } from './jwt-settings.ts';
import { type PassThroughEndpoint, providerVariables } from '../kernel/pass-through.ts';
import { noKeySettings, type KeySettings } from './key-settings.ts';
import { readLitellmConfig, type ConfigWarning, type FileSetting, type LitellmConfig } from './litellm.ts';
import { Problems, type Place } from './problems.ts';
import { responseCacheOf, type ResponseCacheConfig } from './response-cache.ts';
import { noRouting, routingOf } from './routing.ts';
import type { RoutingSettings } from '../routing/routing-settings.ts';
import { isReference, variable, type Environment } from './resolver.ts';
import { readSecretFile } from './secret-file.ts';
import type { Setting } from './setting.ts';
import {
  configFileVariables,
  credentialName,
  settingNames,
  settingOf,
  type SettingName,
  type SettingValues,
} from './settings.ts';
import { defaultStateDir } from './state-dir.ts';
import type { UserSettings } from './user-settings.ts';

export interface Surroundings {
  /** What `serve` was called with, by flag name or in commander's camelCase. Flags that are no setting are passed over. */
  readonly argvFlags?: Readonly<Record<string, unknown>>;
  /** The same where the text has been read already, from a file or standard input, so that it may hold a password. */
  readonly resolvedFlags?: Readonly<Record<string, string | undefined>>;
  readonly env: Environment;
  /** The file of `--config`. Without it GATEWAYCTL_CONFIG and CONFIG_FILE_PATH are looked at, and nothing else. */
  readonly file?: string | undefined;
  readonly uid: number | undefined;
  readonly home: string;
  /** The package root when the program runs from a source checkout. */
  readonly checkout?: string | undefined;
  readonly cwd?: string;
  /** Told of each configuration file before it is read. */
  readonly onFile?: (path: string) => void;
}

/** `default`, `file config.yaml:12`, `environment PORT`, `credential master-key` or `flag --port`. */
export type Sources = Readonly<Record<SettingName, string>>;

export interface Settings extends SettingValues {
  readonly sources: Sources;
  readonly configFile: string | undefined;
  /** The file's `model_list`; empty when there is none. */
  readonly deployments: readonly Deployment[];
  /** The file's settings of new keys. */
  readonly keySettings: KeySettings;
  readonly userSettings: UserSettings;
  /** The file's `pass_through_endpoints`. */
  readonly passThroughs: readonly PassThroughEndpoint[];
  /** Where calls are reported to. */
  readonly callbacks: CallbackSettings;
  /** Who is told of budgets. */
  readonly alerts: AlertSettings;
  /** Where providers are and what they are called with, by the names of the variables that say so. */
  readonly providerVariables: Readonly<Record<string, string>>;
  /** Undefined while JWTs are off. */
  readonly jwt: JwtSettings | undefined;
  readonly routing: RoutingSettings;
  /** Undefined where answers are not cached. */
  readonly responseCache: ResponseCacheConfig | undefined;
  readonly warnings: readonly ConfigWarning[];
  /** Every secret that was read, for the logger's `redact`. */
  readonly secrets: readonly string[];
}

/**
 * Reads every setting: flag before environment before file before default. All that is wrong, anywhere, is thrown as
 * one GatewayError of kind `config`.
 */
export function loadSettings(surroundings: Surroundings): Settings {
  const { env, cwd = '.' } = surroundings;
  const problems = new Problems();
  const named = surroundings.file ?? configFileVariables.map((name) => variable(env, name)).find(Boolean);
  const configFile = named === undefined ? undefined : join(isAbsolute(named) ? '' : cwd, named);
  const config =
    configFile === undefined
      ? undefined
      : readLitellmConfig(configFile, { env, problems, onFile: surroundings.onFile });

  const loader = new Loader(surroundings, config, problems);
  const values: Record<string, unknown> = {};
  const sources: Record<string, string> = {};
  for (const name of settingNames) [values[name], sources[name]] = loader.load(name);
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- each value has passed the schema of its name
  const read = values as SettingValues;
  const jwt = resolveJwt(config?.jwt, read, problems);
  const responseCache = responseCacheOf(read, (message) => problems.add('litellm_settings.cache_params.type', message));
  problems.throwIfAny();
  const ofProviders = [...providerVariables].flatMap((name) => {
    const value = config?.resolver.variable(name) ?? variable(env, name);
    return value === undefined ? [] : [[name, value] as const];
  });
  return {
    ...read,
    providerVariables: Object.fromEntries(ofProviders),
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- filled by the same loop
    sources: sources as Sources,
    configFile,
    deployments: config?.deployments ?? [],
    keySettings: config?.keySettings ?? noKeySettings,
    userSettings: config?.userSettings ?? {},
    passThroughs: config?.passThroughs ?? [],
    callbacks: config?.callbacks ?? noCallbacks,
    alerts: config?.alerts ?? noAlerts,
    jwt,
    responseCache,
    routing: routingOf(config?.routing ?? noRouting, read),
    warnings: [...(config?.warnings ?? []), ...jwtWarnings(config?.jwt, jwt)],
    secrets: [...loader.secrets, ...(config?.secrets ?? []), ...ofProviders.flatMap(secretIn)],
  };
}

/** What must not be logged. Names of projects and regions are words, and would make holes in everything that is. */
const secretIn = ([name, value]: readonly [string, string]): string[] =>
  /(?:_KEY|_TOKEN|_TOKEN_BEDROCK)$/.test(name) && value.length >= 12 ? [value] : [];

/** A text somebody gave for a setting. */
interface Given {
  readonly text: string;
  /** For `sources`. */
  readonly source: string;
  /** For problems. */
  readonly where: string | Place;
  /** What a relative path starts from. */
  readonly base: string;
}

class Loader {
  readonly #surroundings: Surroundings;
  readonly #config: LitellmConfig | undefined;
  readonly #problems: Problems;
  readonly #cwd: string;
  readonly secrets = new Set<string>();

  constructor(surroundings: Surroundings, config: LitellmConfig | undefined, problems: Problems) {
    this.#surroundings = surroundings;
    this.#config = config;
    this.#problems = problems;
    this.#cwd = surroundings.cwd ?? '.';
  }

  load(name: SettingName): readonly [value: unknown, source: string] {
    const setting = settingOf(name);
    const outside = this.#flag(setting) ?? this.#environment(name, setting);
    const inFile = this.#file(name, setting, outside !== undefined);
    const given = outside ?? inFile;
    if (given) return [this.#read(name, setting, given), given.source];
    if (name === 'stateDir') {
      const { path, source } = defaultStateDir(this.#surroundings);
      return [path, source];
    }
    const { default: fallback } = setting;
    return [typeof fallback === 'string' ? setting.type.parse(fallback) : undefined, 'default'];
  }

  #read(name: SettingName, { type, secret }: Setting, { text, where, base }: Given): unknown {
    if (secret) this.#hide(text);
    const result = type.safeParse(text);
    if (!result.success) this.#problems.add(where, `must be ${type.meta()?.description ?? 'something else'}`);
    if (name === 'stateDir' || name === 'rotationSecretsDir' || name === 'priceFile') return resolve(base, text);
    return result.data;
  }

  #hide(secret: string): void {
    this.secrets.add(secret);
    if (!URL.canParse(secret)) return;
    const { password } = new URL(secret);
    for (const form of [password, decoded(password)]) if (form) this.secrets.add(form);
  }

  #flag({ flag, secret }: Setting): Given | undefined {
    if (flag === undefined) return undefined;
    const { argvFlags = {}, resolvedFlags = {} } = this.#surroundings;
    const where = `--${flag}`;
    const resolved = resolvedFlags[flag];
    if (resolved !== undefined) return { text: resolved, source: `flag ${where}`, where, base: this.#cwd };
    const given = argvFlags[flag] ?? argvFlags[camel(flag)];
    if (typeof given !== 'string' && typeof given !== 'boolean') return undefined;
    const text = String(given);
    const plain: Given = { text, source: `flag ${where}`, where, base: this.#cwd };
    if (!secret) return text === '' ? this.#refuse(plain, 'must not be empty') : plain;
    const path = flag.endsWith('-file') ? text.replace(/^@/, '') : /^@(.+)/.exec(text)?.[1];
    if (path) return this.#fromFile(path, plain);
    if (secret === 'password' && text && !hasPassword(text)) return plain;
    return this.#refuse(plain, `holds a password, and every user can see command lines; write --${flag} @<file>`);
  }

  #environment(name: SettingName, { env: names, secret }: Setting): Given | undefined {
    const { env } = this.#surroundings;
    const directory = variable(env, 'CREDENTIALS_DIRECTORY');
    const credential = credentialName(name);
    if (directory && credential) {
      const file = readSecretFile(join(directory, credential));
      if ('text' in file)
        return { text: file.text, source: `credential ${credential}`, where: `credential ${credential}`, base: '' };
      if (!file.problem.endsWith('no such file')) this.#problems.add(`credential ${credential}`, file.problem);
    }
    for (const each of names) {
      const path = secret && variable(env, `${each}_FILE`);
      if (path) return this.#fromFile(path, this.#fromVariable(`${each}_FILE`, path));
      const text = variable(env, each);
      const given = text && this.#fromVariable(each, text);
      if (given) return secret === 'password' && text.startsWith('@') ? this.#fromFile(text.slice(1), given) : given;
    }
    return undefined;
  }

  #fromVariable(name: string, text: string): Given {
    return { text, source: `environment ${name}`, where: `environment variable ${name}`, base: this.#cwd };
  }

  /** What the file says; all of it is checked, but a variable it refers to must be set only when it comes to that. */
  #file(name: SettingName, setting: Setting, isOverruled: boolean): Given | undefined {
    const config = this.#config;
    if (!config) return undefined;
    const [first, ...rest] = (config.settings.get(name) ?? []).filter(Boolean);
    const others = isOverruled && first ? [first, ...rest] : rest;
    for (const other of others) if (!isReference(other.scalar.text)) this.#read(name, setting, this.#given(other));
    if (isOverruled) return undefined;
    if (first) {
      const text = config.resolver.text(first.scalar);
      return text === undefined ? undefined : this.#given(first, text);
    }
    for (const variableName of setting.env) {
      const scalar = config.variables.get(variableName);
      const text = scalar && config.resolver.variable(variableName);
      if (scalar && text) return this.#given({ scalar, unit: undefined }, text);
    }
    return undefined;
  }

  #given({ scalar: { at, text: written }, unit }: FileSetting, text = written): Given {
    const path = at.source.path;
    const full = unit && /^\d+$/.test(text) ? `${text}${unit}` : text;
    return { text: full, source: `file ${path}:${at.line}`, where: at, base: resolve(this.#cwd, dirname(path)) };
  }

  #fromFile(path: string, given: Given): Given | undefined {
    const file = readSecretFile(resolve(this.#cwd, path));
    if ('text' in file) return { ...given, text: file.text };
    return this.#refuse(given, file.problem);
  }

  #refuse({ where }: Given, message: string): undefined {
    this.#problems.add(where, message);
    return undefined;
  }
}

const camel = (flag: string): string => flag.replace(/-([a-z])/g, (_, letter: string) => letter.toUpperCase());

const hasPassword = (text: string): boolean => /:\/\/[^/?#]*:[^/?#]*@/.test(text) || /[?&]password=/i.test(text);

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text; // a lone percent sign
  }
}
