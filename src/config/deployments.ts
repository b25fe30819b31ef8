import { hash } from 'node:crypto';
import { reachOfHost } from '../kernel/reach.ts';
import { suggest } from '../kernel/suggest.ts';
import {
  knownProvider,
  placeParams,
  providers,
  routingNumbers,
  secretParams,
  type Deployment,
  type SecretParam,
} from '../models/deployment.ts';
import { providerParams, unserved } from './litellm-keys.ts';
import { showName, type Place, type Problems } from './problems.ts';
import type { Resolver } from './resolver.ts';
import type { Entry, MapTree, ScalarTree, Tree } from './yaml.ts';

const servedProviders: ReadonlySet<string> = new Set(providers);

/** Read here by name; everything else of `litellm_params` that is served goes to the deployment as it is. */
const ownParams = ['model', 'api_key', 'api_base', 'custom_llm_provider'] as const;
const numbers: ReadonlySet<string> = new Set(['timeout', 'stream_timeout', 'mock_timeout', ...routingNumbers]);
/** Yes or no: whether the upstream may be at an address that is not public, and whether it is read on without a client. */
const flags = ['allow_private_network', 'drain_on_disconnect'] as const;
const isPrice = (name: string): boolean => name.includes('_cost_per_');
const places: ReadonlySet<string> = new Set(placeParams);
const isSecretParam = (name: string): name is SecretParam => secretParams.some((secret) => secret === name);
const dropParams = { one: 'drop_params', several: 'additional_drop_params' } as const;
const isServedParam = (name: string): boolean =>
  numbers.has(name) ||
  isSecretParam(name) ||
  places.has(name) ||
  name === dropParams.one ||
  name === dropParams.several ||
  ['base_model', 'api_version', 'tags', 'region_name', ...flags].includes(name) ||
  name.startsWith('mock_') ||
  isPrice(name);

export interface ModelListContext {
  readonly problems: Problems;
  readonly resolver: Resolver;
  readonly warn: (at: Place, key: string, message?: string) => void;
  readonly secret: (value: string) => void;
}

/** Reads LiteLLM's `model_list`. What is wrong is reported, and the entries that are right are answered. */
export function readModelList(list: Tree, context: ModelListContext): Deployment[] {
  if (list.kind !== 'list') {
    context.problems.add(list.at, 'model_list must be a list');
    return [];
  }
  const reader = new ModelListReader(context);
  return list.items.flatMap((item) => reader.read(item) ?? []);
}

class ModelListReader {
  readonly #context: ModelListContext;
  readonly #ids = new Set<string>();

  constructor(context: ModelListContext) {
    this.#context = context;
  }

  read(tree: Tree): Deployment | undefined {
    if (tree.kind !== 'map') return this.#refuse(tree.at, 'an entry of model_list must be a mapping');
    for (const [name, entry] of tree.entries) {
      if (!['model_name', 'litellm_params', 'model_info'].includes(name)) this.#unknown(name, entry, 'model_list');
    }
    const params = this.#section(tree, 'litellm_params');
    const name = this.#required(tree, 'model_name', tree.at);
    const model = params && this.#required(params, 'model', params.at);
    if (!params) return this.#refuse(tree.at, 'litellm_params is missing');
    this.#checkParams(params);
    this.#checkNames('tags', params.entries.get('tags'));
    const target = model ? this.#target(params, model) : undefined;
    const info = this.#info(tree, params);
    const apiBase = this.#base(params, target?.provider);
    const apiKey = this.#key(params, target?.provider, apiBase);
    const served = this.#params(params);
    const secrets = this.#secrets(params, target?.provider, apiKey);
    if (!name || !model || !target) return undefined;
    const id = this.#id(tree, [name, model, apiBase ?? '']);
    return {
      id,
      name,
      ...target,
      apiBase,
      apiKey,
      source: 'config',
      info: { ...info, id },
      params: served,
      ...secrets,
    };
  }

  #checkParams({ entries }: MapTree): void {
    for (const [name, entry] of entries) {
      if (ownParams.some((own) => own === name) || isServedParam(name)) continue;
      if (providerParams.test(name)) this.#context.warn(entry.at, `litellm_params.${name}`);
      else this.#unknown(name, entry, 'litellm_params');
    }
  }

  /** A name LiteLLM has is warned of; any other is a mistake. */
  #unknown(name: string, { at, value }: Entry, section: string): void {
    if (unserved[section]?.has(name)) {
      if (value.kind !== 'scalar' || value.value !== null) this.#context.warn(at, `${section}.${name}`);
      return;
    }
    const own =
      section === 'model_list' ? ['model_name', 'litellm_params', 'model_info'] : [...ownParams, ...numbers, ...flags];
    this.#context.problems.add(at, unknownKey(name, [...own, ...(unserved[section] ?? [])]));
  }

  #target(params: MapTree, model: string): { provider: string; upstreamModel: string } | undefined {
    const given = params.entries.get('custom_llm_provider');
    const custom = given && this.#text(given.value);
    const slash = model.indexOf('/');
    const prefix = slash > 0 ? model.slice(0, slash) : undefined;
    const provider = custom ?? prefix ?? 'openai';
    if (servedProviders.has(provider)) {
      const upstreamModel = prefix === provider ? model.slice(slash + 1) : model;
      if (upstreamModel) return { provider, upstreamModel };
    }
    const at = given?.value.at ?? params.entries.get('model')?.value.at ?? params.at;
    const near = suggest(provider, servedProviders);
    const hint = near
      ? `did you mean ${near}?`
      : 'an OpenAI-compatible server is openai/<its model name> with its api_base';
    const shown = /^[\w.-]{1,30}$/.test(provider) ? `provider ${provider}` : 'this provider';
    return this.#refuse(
      at,
      servedProviders.has(provider) ? 'the model has no name' : `${shown} is not served yet (${hint})`,
    );
  }

  #base(params: MapTree, provider: string | undefined): string | undefined {
    const given = params.entries.get('api_base');
    const base = given && this.#text(given.value);
    if (!given || base === undefined) return this.#usualBase(params, provider);
    const isHttp = /^https?:\/\/[^\s?#@]+$/.test(base) && URL.canParse(base);
    if (isHttp && reachOfHost(new URL(base).hostname) === 'forbidden') {
      return this.#refuse(given.value.at, 'api_base is an address that is never called: clouds have credentials there');
    }
    if (isHttp) return base.replace(/\/+$/, '');
    return this.#refuse(given.value.at, 'api_base must be an http:// or https:// URL without a query or a password');
  }

  /** Azure's, which are the operator's own, stand in LiteLLM's variable. */
  #usualBase(params: MapTree, provider: string | undefined): string | undefined {
    const known = knownProvider(provider);
    if (provider === undefined || !known) return undefined;
    if (known.placedBy) return this.#requirePlace(params, provider, known.placedBy);
    const base = known.apiBase ?? this.#azureBase(provider);
    return base ?? this.#refuse(params.at, `api_base is missing: a deployment of ${provider} has no usual one`);
  }

  #requirePlace(params: MapTree, provider: string, names: readonly string[]): undefined {
    for (const name of names) {
      if (params.entries.has(name)) continue;
      this.#refuse(params.at, `${name} is missing: it says where a deployment of ${provider} is`);
    }
    return undefined;
  }

  #azureBase(provider: string): string | undefined {
    return provider === 'azure' ? this.#context.resolver.variable('AZURE_API_BASE')?.replace(/\/+$/, '') : undefined;
  }

  /** As in LiteLLM a variable stands in for a missing key, but only towards the provider: elsewhere it would be given away. */
  #key(params: MapTree, provider: string | undefined, base: string | undefined): string | undefined {
    const given = params.entries.get('api_key');
    const key = given ? this.#text(given.value) : this.#usualKey(params, provider, base);
    if (key) this.#context.secret(key);
    return key;
  }

  #usualKey(params: MapTree, provider: string | undefined, base: string | undefined): string | undefined {
    const known = knownProvider(provider);
    if (!known || provider === undefined || base === undefined) return undefined;
    if (base !== (known.apiBase ?? this.#azureBase(provider))) return undefined;
    for (const name of known.apiKey) {
      const key = this.#context.resolver.variable(name);
      if (key) return key;
    }
    const [name = ''] = known.apiKey;
    // One's own machine asks for none.
    if (provider !== 'ollama')
      this.#context.warn(params.at, 'litellm_params.api_key', `is missing, and ${name} is not set`);
    return undefined;
  }

  #params({ entries }: MapTree): Record<string, unknown> {
    const served = [...entries].filter(([name]) => isServedParam(name) && !isPrice(name) && !isSecretParam(name));
    const values = this.#values(served);
    for (const flag of [...flags, dropParams.one]) {
      const said = entries.get(flag);
      if (said && !['boolean', 'undefined'].includes(typeof values[flag])) {
        this.#refuse(said.value.at, `${flag} must be true or false`);
      }
    }
    for (const name of placeParams) {
      const said = entries.get(name);
      if (said && !['string', 'undefined'].includes(typeof values[name])) {
        this.#refuse(said.value.at, `${name} must be a text`);
      }
    }
    this.#checkNames(dropParams.several, entries.get(dropParams.several));
    return values;
  }

  #secrets(params: MapTree, provider: string | undefined, apiKey: string | undefined): Pick<Deployment, 'secrets'> {
    const secrets: Partial<Record<SecretParam, string>> = {};
    for (const name of secretParams) {
      const entry = params.entries.get(name);
      const value = entry && this.#text(entry.value);
      if (!value) continue;
      secrets[name] = value;
      this.#context.secret(value);
    }
    const ways = knownProvider(provider)?.credentials;
    if (ways && !apiKey && !ways.some((names) => names.every((name) => secrets[name]))) {
      const others = ways.map((names) => names.join(' and ')).join(', or ');
      this.#context.warn(params.at, 'litellm_params.api_key', `is missing, and so are ${others}`);
    }
    return Object.keys(secrets).length > 0 ? { secrets } : {};
  }

  /** LiteLLM takes prices from either place; those of `litellm_params` win there. */
  #info(tree: MapTree, { entries }: MapTree): Record<string, unknown> {
    const info = this.#section(tree, 'model_info')?.entries ?? new Map<string, Entry>();
    for (const [name, { at }] of info)
      if (unserved['model_info']?.has(name)) this.#context.warn(at, `model_info.${name}`);
    this.#checkNames('access_groups', info.get('access_groups'));
    return this.#values([...info, ...[...entries].filter(([name]) => isPrice(name))]);
  }

  /** A list that is not read as one would let nothing through, and nobody would know why. */
  #checkNames(name: string, entry: Entry | undefined): void {
    if (!entry || (entry.value.kind === 'scalar' && entry.value.value === null)) return;
    const isList = entry.value.kind === 'list' && entry.value.items.every(({ kind }) => kind === 'scalar');
    if (!isList) this.#refuse(entry.value.at, `${name} must be a list of names`);
  }

  #values(entries: readonly (readonly [string, Entry])[]): Record<string, unknown> {
    const values: Record<string, unknown> = {};
    for (const [name, { value }] of entries) {
      const isNumber = numbers.has(name) || isPrice(name);
      const plain =
        isNumber && value.kind === 'scalar' ? this.#number(name, value) : this.#context.resolver.plain(value);
      if (plain !== undefined && plain !== null) values[name] = plain;
    }
    return values;
  }

  #number(name: string, scalar: ScalarTree): number | undefined {
    const text = this.#context.resolver.text(scalar);
    if (text === undefined) return undefined;
    // PyYAML reads 1e-7 as a text, and LiteLLM makes a number of it; so is every other spelling of one.
    const number = /^[\d.]/.test(text) ? Number(text) : Number.NaN;
    return Number.isFinite(number) ? number : this.#refuse(scalar.at, `${name} must be a number, and not negative`);
  }

  /** LiteLLM's id for a deployment without one is a hash too. The key is not part of it: a new key is no new deployment. */
  #id(tree: MapTree, parts: readonly string[]): string {
    const given = this.#section(tree, 'model_info')?.entries.get('id');
    const own = given && this.#text(given.value);
    if (own && this.#ids.has(own)) this.#context.problems.add(given.value.at, 'another model has this id');
    const id = own ?? this.#free(parts);
    this.#ids.add(id);
    return id;
  }

  /** Two deployments that differ in their key alone, say, are two all the same. */
  #free(parts: readonly string[]): string {
    let id = hash('sha256', JSON.stringify(parts));
    for (let copy = 2; this.#ids.has(id); copy++) id = hash('sha256', JSON.stringify([...parts, copy]));
    return id;
  }

  #section(tree: MapTree, name: string): MapTree | undefined {
    const value = tree.entries.get(name)?.value;
    if (!value || value.kind === 'map') return value;
    return value.kind === 'scalar' && value.value === null
      ? undefined
      : this.#refuse(value.at, `${name} must be a mapping`);
  }

  #required(tree: MapTree, name: string, at: Place): string | undefined {
    const value = tree.entries.get(name)?.value;
    const missing = !value || (value.kind === 'scalar' && (value.value === null || value.text === ''));
    return missing ? this.#refuse(value?.at ?? at, `${name} is missing`) : this.#text(value);
  }

  #text(value: Tree): string | undefined {
    return value.kind === 'scalar' ? this.#context.resolver.text(value) : this.#refuse(value.at, 'must be a text');
  }

  #refuse(at: Place, message: string): undefined {
    this.#context.problems.add(at, message);
    return undefined;
  }
}

/** `unknown key "litelm_params" (did you mean litellm_params?)` */
export function unknownKey(name: string, known: Iterable<string>): string {
  const near = suggest(name, known);
  const shown = showName(name) ? `unknown key "${name}"` : 'unknown key';
  return near ? `${shown} (did you mean ${near}?)` : shown;
}
