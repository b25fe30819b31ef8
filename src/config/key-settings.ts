import { z } from 'zod';
import { type Duration, duration, durationText, lifetime } from '../kernel/duration.ts';
import { id, metadata, models } from '../kernel/fields.ts';
import { limitFields } from '../kernel/limits.ts';
import { usd } from '../kernel/money.ts';
import { roles } from '../kernel/operation.ts';
import { members, refuseOthers, type StructureContext } from './structures.ts';
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

/** Reads LiteLLM's settings of new keys. What is wrong is reported with its place. */
export function readKeySettings(trees: ReadonlyMap<string, Tree>, context: StructureContext): KeySettings {
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
