import { z } from 'zod';
import { toMilliseconds } from '../kernel/duration.ts';
import type { ByFailure, Fallbacks, GroupAlias, RoutingSettings } from '../routing/routing-settings.ts';
import type { Deployment } from '../models/deployment.ts';
import type { Place } from './problems.ts';
import type { SettingValues } from './settings.ts';
import { members, type StructureContext } from './structures.ts';
import type { Tree } from './yaml.ts';

/** What a file says of routing beyond single values. */
export interface RoutingFile {
  readonly fallbacks: Fallbacks;
  readonly contextWindowFallbacks: Fallbacks;
  readonly contentPolicyFallbacks: Fallbacks;
  readonly aliases: ReadonlyMap<string, GroupAlias>;
  readonly retryPolicy: ByFailure;
  readonly allowedFailsPolicy: ByFailure;
  readonly latencyTtlMs: number;
  readonly latencyBuffer: number;
}

const inBoth = ['fallbacks', 'default_fallbacks', 'context_window_fallbacks', 'content_policy_fallbacks'] as const;
const inRouter = ['model_group_alias', 'retry_policy', 'allowed_fails_policy', 'routing_strategy_args'] as const;
type Name = (typeof inBoth)[number] | (typeof inRouter)[number];

/** Where routing is told of in more than one value, by path. What stands in `router_settings` wins, as in LiteLLM. */
export const routingPaths: readonly string[] = [
  ...[...inBoth, ...inRouter].map((name) => `router_settings.${name}`),
  ...inBoth.map((name) => `litellm_settings.${name}`),
];

const name = z.string('must be a name').min(1, 'must be a name');
const names = z.array(name, 'must be a list of names').max(100);
const byModel = z.array(
  z.record(z.string(), names, 'must map a model to a list of names'),
  'must be a list such as [{model: [other]}]',
);
const alias = z.union([name, z.strictObject({ model: name, hidden: z.boolean().default(false) })], {
  error: 'must be the name of a model, or {model, hidden}',
});
const count = z.int('must be a whole number').min(0).max(1_000_000);
const latency = { ttl: z.number().positive(), lowest_latency_buffer: z.number().min(0).max(100) };

/** LiteLLM's names of the kinds of failure, each with its ending. */
const kinds = {
  TimeoutError: 'timeout',
  RateLimitError: 'rate_limit',
  BadRequestError: 'bad_request',
  AuthenticationError: 'authentication',
  ContentPolicyViolationError: 'content_policy',
  InternalServerError: 'server',
} as const;

/** Reads what is wrong with its place; the rest is answered. */
export function readRouting(trees: ReadonlyMap<string, Tree>, context: StructureContext): RoutingFile {
  const at = (key: Name): Tree | undefined =>
    trees.get(`router_settings.${key}`) ?? trees.get(`litellm_settings.${key}`);
  const fallbacksOf = (key: Name): Fallbacks =>
    new Map((read(at(key), byModel, context) ?? []).flatMap((each) => Object.entries(each)));
  const everywhere = read(at('default_fallbacks'), names, context);
  const fallbacks = new Map(fallbacksOf('fallbacks'));
  if (everywhere && !fallbacks.has('*')) fallbacks.set('*', everywhere);
  const args = members(at('routing_strategy_args'), latency, context);
  const aliases = read(at('model_group_alias'), z.record(name, alias, 'must be a mapping'), context) ?? {};
  return {
    fallbacks,
    contextWindowFallbacks: fallbacksOf('context_window_fallbacks'),
    contentPolicyFallbacks: fallbacksOf('content_policy_fallbacks'),
    aliases: new Map(
      Object.entries(aliases).map(([key, to]) => [key, typeof to === 'string' ? { model: to, hidden: false } : to]),
    ),
    retryPolicy: policyOf(at('retry_policy'), 'Retries', context),
    allowedFailsPolicy: policyOf(at('allowed_fails_policy'), 'AllowedFails', context),
    latencyTtlMs: args.ttl === undefined ? noRouting.latencyTtlMs : args.ttl * 1_000,
    latencyBuffer: args.lowest_latency_buffer ?? noRouting.latencyBuffer,
  };
}

interface Known {
  readonly deployments: readonly Pick<Deployment, 'id' | 'name'>[];
  readonly warn: (at: Place, key: string, message: string) => void;
}

/** Warns of names that lead nowhere, as far as the file says: nobody would notice before they are needed. */
export function warnOfStrangers(
  file: RoutingFile,
  trees: ReadonlyMap<string, Tree>,
  { deployments, warn }: Known,
): void {
  const known = new Set([...deployments.flatMap(({ id, name: own }) => [id, own]), ...file.aliases.keys()]);
  const patterns = [...known].filter((own) => own.includes('*')).map((own) => own.split('*', 2));
  const isKnown = (model: string): boolean =>
    known.has(model) || patterns.some(([before = '', after = '']) => model.startsWith(before) && model.endsWith(after));
  const check = (keys: readonly Name[], models: readonly string[]): void => {
    const path = routingPaths.find((each) => trees.has(each) && keys.some((key) => each.endsWith(`.${key}`)));
    const tree = path === undefined ? undefined : trees.get(path);
    if (!path || !tree) return;
    for (const model of new Set(models)) {
      if (isKnown(model)) continue;
      warn(tree.at, path, `leads to ${JSON.stringify(model)}, which is not in model_list: the database must have it`);
    }
  };
  check(['fallbacks', 'default_fallbacks'], [...file.fallbacks.values()].flat());
  check(['context_window_fallbacks'], [...file.contextWindowFallbacks.values()].flat());
  check(['content_policy_fallbacks'], [...file.contentPolicyFallbacks.values()].flat());
  check(
    ['model_group_alias'],
    [...file.aliases.values()].map(({ model }) => model),
  );
}

function read<T>(
  tree: Tree | undefined,
  schema: z.ZodType<T>,
  { problems, resolver }: StructureContext,
): T | undefined {
  if (!tree) return undefined;
  const found = schema.safeParse(resolver.plain(tree));
  if (found.success) return found.data;
  problems.add(tree.at, found.error.issues[0]?.message ?? 'is not valid');
  return undefined;
}

function policyOf(tree: Tree | undefined, ending: string, context: StructureContext): ByFailure {
  const shape = Object.fromEntries(Object.keys(kinds).map((each) => [`${each}${ending}`, count]));
  const given = members(tree, shape, context);
  return Object.fromEntries(
    Object.entries(kinds).flatMap(([each, kind]) => {
      const value = given[`${each}${ending}`];
      return value === undefined ? [] : [[kind, value]];
    }),
  );
}

/** What holds where no file says anything. */
export const noRouting: RoutingFile = {
  fallbacks: new Map(),
  contextWindowFallbacks: new Map(),
  contentPolicyFallbacks: new Map(),
  aliases: new Map(),
  retryPolicy: {},
  allowedFailsPolicy: {},
  latencyTtlMs: 60_000,
  latencyBuffer: 0,
};

/** All that is said of routing, wherever. */
export function routingOf(file: RoutingFile, values: SettingValues): RoutingSettings {
  return {
    ...file,
    strategy: values.routingStrategy,
    retries: values.numRetries,
    retryAfterMs: toMilliseconds(values.retryAfter),
    allowedFails: values.allowedFails,
    cooldownMs: values.disableCooldowns ? 0 : toMilliseconds(values.cooldownTime),
    maxFallbacks: values.maxFallbacks,
    tagFiltering: values.enableTagFiltering,
    matchesAnyTag: values.tagFilteringMatchAny,
  };
}
