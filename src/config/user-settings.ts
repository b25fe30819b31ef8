import { z } from 'zod';
import { durationText } from '../kernel/duration.ts';
import { id, models } from '../kernel/fields.ts';
import { usd } from '../kernel/money.ts';
import { type Role, roles } from '../kernel/operation.ts';
import { members, type StructureContext } from './structures.ts';
import type { Tree } from './yaml.ts';

/** What a new user has where its maker says nothing. */
export interface UserSettings {
  readonly userRole?: Role | undefined;
  readonly maxBudget?: bigint | undefined;
  readonly budgetDuration?: string | undefined;
  readonly models?: string[] | undefined;
  /** Teams that every user may join by itself, by id or alias. */
  readonly availableTeams?: readonly string[] | undefined;
}

const section = 'litellm_settings';

/** LiteLLM's settings of new users, by their path. */
export const userSettingPaths = [
  `${section}.default_internal_user_params`,
  `${section}.max_internal_user_budget`,
  `${section}.internal_user_budget_duration`,
] as const;

const defaults = {
  user_role: z.enum(roles),
  max_budget: usd,
  budget_duration: durationText,
  models,
  available_teams: z.array(id).max(1_000),
};
const alone = { max_internal_user_budget: usd, internal_user_budget_duration: durationText };

/** Reads LiteLLM's settings of new users. What is wrong is reported with its place. */
export function readUserSettings(trees: ReadonlyMap<string, Tree>, context: StructureContext): UserSettings {
  const given = members(trees.get(`${section}.default_internal_user_params`), defaults, context);
  const single = scalars(trees, context);
  return {
    userRole: given.user_role,
    maxBudget: given.max_budget ?? single.max_internal_user_budget,
    budgetDuration: given.budget_duration ?? single.internal_user_budget_duration,
    models: given.models,
    availableTeams: given.available_teams,
  };
}

function scalars(trees: ReadonlyMap<string, Tree>, context: StructureContext) {
  const entries = new Map(
    Object.keys(alone).flatMap((name) => {
      const value = trees.get(`${section}.${name}`);
      return value ? [[name, { at: value.at, value }] as const] : [];
    }),
  );
  const [first] = entries.values();
  return first ? members({ kind: 'map', at: first.at, entries }, alone, context) : {};
}
