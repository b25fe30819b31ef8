import type { UserSettings } from '../config/user-settings.ts';
import { given } from '../db/work.ts';
import { type LimitChanges, limitChanges } from '../kernel/limits.ts';
import type { Role } from '../kernel/operation.ts';

type Maybe<T> = T | null | undefined;

export interface UserChanges extends LimitChanges {
  userEmail?: Maybe<string>;
  userAlias?: Maybe<string>;
  userRole?: Role | undefined;
  organizationId?: Maybe<string>;
  ssoUserId?: Maybe<string>;
  models?: string[] | undefined;
  metadata?: Record<string, unknown> | undefined;
  maxBudget?: Maybe<bigint>;
  budgetId?: Maybe<string>;
  blocked?: boolean | undefined;
}

export interface NewUser extends UserChanges {
  userId?: Maybe<string>;
}

/** What a user is made with where nothing is said. */
export const untouched = { role: 'internal_user', models: [], metadata: {}, blocked: false };

/** The fields as the entity keeps them. Only what was given is in the answer; null clears. */
export const columnsOf = (fields: UserChanges) =>
  given({
    email: fields.userEmail,
    alias: fields.userAlias,
    role: fields.userRole,
    organizationId: fields.organizationId,
    ssoUserId: fields.ssoUserId,
    models: fields.models,
    metadata: fields.metadata,
    maxBudget: fields.maxBudget,
    ...limitChanges(fields),
    budgetId: fields.budgetId,
    blocked: fields.blocked,
  });

/** What the configuration gives to whoever is no administrator: null is nothing said, as in LiteLLM. */
export function withDefaults(fields: NewUser, settings: UserSettings): NewUser {
  if (fields.userRole?.startsWith('proxy_admin')) return fields;
  const { userRole, maxBudget, budgetDuration, models = [] } = settings;
  return {
    ...fields,
    userRole: fields.userRole ?? userRole,
    maxBudget: fields.maxBudget ?? maxBudget,
    budgetDuration: fields.budgetDuration ?? budgetDuration,
    models: fields.models?.length ? fields.models : models,
  };
}
