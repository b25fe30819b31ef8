import { z } from 'zod';
import { type Duration, duration, durationText, lifetime } from '../kernel/duration.ts';
import { id, metadata, models } from '../kernel/fields.ts';
import { limitFields } from '../kernel/limits.ts';
import { usd } from '../kernel/money.ts';
import { roles } from '../kernel/operation.ts';
import { unknownKey } from './deployments.ts';
import type { Problems } from './problems.ts';
import type { Resolver } from './resolver.ts';
import type { Tree } from './yaml.ts';

/** LiteLLM's settings of new keys. */
export interface KeySettings {
  /** What a new key has where its maker says nothing. */
  readonly defaults: KeyDefaults;
  /** The most a key may have; a new one that says nothing has exactly that. */
  readonly bounds: KeyBounds;
  readonly team: KeyRequirements & { readonly allowedRoles?: readonly string[] | undefined };
  readonly personal: KeyRequirements & { readonly allowedRoles?: readonly string[] | undefined };
}

export interface KeyRequirements {
  /** Fields that have to be given, as they travel. */
  readonly requiredParams: readonly string[];
}

export interface KeyDefaults {
  readonly maxBudget?: bigint | undefined;
  readonly userId?: string | undefined;
  readonly teamId?: string | undefined;
  readonly maxParallelRequests?: number | undefined;
  readonly tpmLimit?: number | undefined;
  readonly rpmLimit?: number | undefined;
  readonly budgetDuration?: string | undefined;
  readonly duration?: Duration | undefined;
  readonly models?: string[] | undefined;
  readonly metadata?: Record<string, unknown> | undefined;
}

export interface KeyBounds {
  readonly maxBudget?: bigint | undefined;
  readonly maxParallelRequests?: number | undefined;
  readonly tpmLimit?: number | undefined;
  readonly rpmLimit?: number | undefined;
  readonly budgetDuration?: string | undefined;
  readonly duration?: Duration | undefined;
}

export const noKeySettings: KeySettings = {
  defaults: {},
  bounds: {},
  team: { requiredParams: [] },
  personal: { requiredParams: [] },
};

const count = limitFields.tpmLimit.unwrap().unwrap();
const slots = limitFields.maxParallelRequests.unwrap().unwrap();

const bounds = {
  max_budget: usd,
  max_parallel_requests: slots,
  tpm_limit: count,
  rpm_limit: count,
  budget_duration: durationText,
  duration,
};

const defaults = { ...bounds, duration: lifetime, user_id: id, team_id: id, models, metadata };

const names = z.array(z.string().min(1));
const teamRules = { allowed_team_member_roles: z.array(z.enum(['admin', 'user'])), required_params: names };
const personalRules = { allowed_user_roles: z.array(z.enum(roles)), required_params: names };

const section = 'litellm_settings';

/** The settings of `litellm_settings` that are more than one value, by their path. */
export const keySettingPaths = [
  `${section}.default_key_generate_params`,
  `${section}.upperbound_key_generate_params`,
  `${section}.key_generation_settings`,
] as const;
export type KeySettingPath = (typeof keySettingPaths)[number];

interface Context {
  readonly problems: Problems;
  readonly resolver: Resolver;
}

/** Reads LiteLLM's settings of new keys. What is wrong is reported with its place. */
export function readKeySettings(trees: ReadonlyMap<string, Tree>, context: Context): KeySettings {
  const at = (name: string) => trees.get(`${section}.${name}`);
  const given = members(at('default_key_generate_params'), defaults, context);
  const most = members(at('upperbound_key_generate_params'), bounds, context);
  const generation = at('key_generation_settings');
  const inGeneration = (name: string) => (generation?.kind === 'map' ? generation.entries.get(name)?.value : undefined);
  refuseOthers(generation, ['team_key_generation', 'personal_key_generation'], context);
  const team = members(inGeneration('team_key_generation'), teamRules, context);
  const personal = members(inGeneration('personal_key_generation'), personalRules, context);
  return {
    defaults: {
      ...limits(given),
      userId: given.user_id,
      teamId: given.team_id,
      duration: given.duration ?? undefined,
      models: given.models,
      metadata: given.metadata,
    },
    bounds: { ...limits(most), duration: most.duration },
    team: { allowedRoles: team.allowed_team_member_roles, requiredParams: team.required_params ?? [] },
    personal: { allowedRoles: personal.allowed_user_roles, requiredParams: personal.required_params ?? [] },
  };
}

interface LimitValues {
  readonly max_budget?: bigint | undefined;
  readonly max_parallel_requests?: number | undefined;
  readonly tpm_limit?: number | undefined;
  readonly rpm_limit?: number | undefined;
  readonly budget_duration?: string | undefined;
}

const limits = (values: LimitValues) => ({
  maxBudget: values.max_budget,
  maxParallelRequests: values.max_parallel_requests,
  tpmLimit: values.tpm_limit,
  rpmLimit: values.rpm_limit,
  budgetDuration: values.budget_duration,
});

type Values<Shape extends Record<string, z.ZodType>> = { [Name in keyof Shape]?: z.output<Shape[Name]> };

function members<const Shape extends Record<string, z.ZodType>>(
  tree: Tree | undefined,
  shape: Shape,
  context: Context,
): Values<Shape> {
  const values: Record<string, unknown> = {};
  if (tree?.kind === 'map') {
    for (const [name, { value }] of tree.entries) {
      const schema = Object.hasOwn(shape, name) ? shape[name] : undefined;
      if (!schema || (value.kind === 'scalar' && value.value === null)) continue;
      const read = schema.safeParse(context.resolver.plain(value));
      if (read.success) values[name] = read.data;
      else context.problems.add(value.at, `${name}: ${read.error.issues[0]?.message ?? 'is not valid'}`);
    }
  }
  refuseOthers(tree, Object.keys(shape), context);
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- each value has passed the schema of its name
  return values as Values<Shape>;
}

function refuseOthers(tree: Tree | undefined, known: readonly string[], { problems }: Context): void {
  if (!tree || (tree.kind === 'scalar' && tree.value === null)) return;
  if (tree.kind !== 'map') {
    problems.add(tree.at, 'must be a mapping');
    return;
  }
  for (const [name, { at }] of tree.entries) if (!known.includes(name)) problems.add(at, unknownKey(name, known));
}
