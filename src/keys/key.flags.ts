import { z } from 'zod';
import { parseDuration, durationHint } from '../kernel/duration.ts';
import { GatewayError } from '../kernel/errors.ts';
import { expiresFlag, untilFlag } from '../kernel/fields.ts';
import { limitColumnNames, limitFlags, limitHeadings } from '../kernel/limit-flags.ts';
import type { CommandLine, Flag } from '../kernel/operation.ts';
import { wireName } from '../kernel/wire.ts';
import { keyChanges } from './key.fields.ts';

/** How a caller names a key. */
export const named = z.string().min(1).describe('The key: its alias, its id or its hash; over HTTP the key itself too');

/** Of a command that is about one key. */
export const one = { args: ['key'], completes: { key: 'key' }, keyStdin: 'key' } satisfies Partial<CommandLine>;

export const atStake = { look: 'key get', field: 'key' };

/** Both of LiteLLM's fields at once: neither means anything without the other. */
const rotateFlag: Flag = {
  name: 'rotate-every',
  placeholder: 'duration|never',
  description: 'How often the daemon replaces its secret, such as 30d, or never',
  parse: (text) => {
    if (text === 'never' || text === 'none') return { auto_rotate: false, rotation_interval: null };
    if (parseDuration(text)) return { auto_rotate: true, rotation_interval: text };
    throw new GatewayError('usage', 'invalid_flag', `--rotate-every: "${text}" ${durationHint}, or never`, {
      param: 'rotation_interval',
    });
  },
};

export const ownerFlags: NonNullable<CommandLine['flags']> = {
  ...limitFlags,
  key_alias: 'alias',
  team_id: { name: 'team', placeholder: 'team', completes: 'team' },
  user_id: { name: 'user', placeholder: 'user', completes: 'user' },
  organization_id: { name: 'org', placeholder: 'org', completes: 'org' },
  models: { name: 'models', placeholder: 'model,…', completes: 'model' },
  temp_budget_expiry: untilFlag('temp-budget-expiry', 'temp_budget_expiry'),
  duration: expiresFlag,
  expires: false,
  tags: { name: 'tags', placeholder: 'tag,…', completes: 'tag' },
  allowed_routes: { name: 'routes', placeholder: 'route,…' },
  allowed_passthrough_routes: { name: 'passthrough-routes', placeholder: 'path,…' },
  allowed_ips: { name: 'allowed-ips', placeholder: 'address,…' },
  key_type: 'type',
  rotation_interval: rotateFlag,
  auto_rotate: false,
};

export const modelEditFlags: NonNullable<CommandLine['flags']> = {
  add_models: { name: 'add-model', placeholder: 'model,…', completes: 'model' },
  remove_models: { name: 'remove-model', placeholder: 'model,…', completes: 'model' },
};

/** A rotation takes every field of an update over HTTP; a person has `key update` for them. */
export const rotationFlags: NonNullable<CommandLine['flags']> = {
  ...Object.fromEntries(Object.keys(keyChanges).map((name) => [wireName(name), false as const])),
  key_alias: 'alias',
  grace_period: 'grace',
  new_key: false,
  duration: expiresFlag,
};

const columns = ['key_alias', 'key_name', 'team_id', 'user_id', 'spend', 'max_budget', 'expires', 'status'];

export const shownKey: Partial<CommandLine> = {
  columns,
  wide: [
    'token',
    'key_id',
    'models',
    'organization_id',
    'created_at',
    'created_by',
    'updated_at',
    ...limitColumnNames,
    'tags',
    'temp_budget_increase',
    'temp_budget_expiry',
  ],
  headings: {
    key_alias: 'ALIAS',
    key_name: 'KEY',
    team_id: 'TEAM',
    user_id: 'USER',
    max_budget: 'BUDGET',
    token: 'ID',
    ...limitHeadings,
  },
  id: 'token',
};
