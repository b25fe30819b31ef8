import type pg from 'pg';
import { asDatabaseTrouble } from '../db/errors.ts';
import { SCHEMA } from '../db/schema.ts';
import type { Allowed } from '../egress/guard.ts';
import type { SealedPlace, Vault } from '../kernel/encryption.ts';
import type { CallbackSetup, CallbackType } from './callback-settings.ts';
import { ownerTarget } from './owner-callback.target.ts';

/** What a team, or a key, has said of its calls. */
export interface OwnerLogging {
  /** Nobody is told of its calls, the operator's own callbacks included. */
  readonly isDisabled: boolean;
  /** Nothing of what is in its calls is kept or reported. */
  readonly turnsOffMessages: boolean;
  readonly callbacks: readonly OwnerCallbackSetup[];
}

interface OwnerCallbackSetup {
  readonly id: string;
  /** Changes with the row. */
  readonly version: string;
  readonly setup: CallbackSetup;
}

interface Row {
  /** `team` or `key`, and its id. */
  readonly kind: 'team' | 'key';
  readonly owner: string;
  readonly id: string | null;
  readonly callback_name: string;
  readonly callback_type: CallbackType;
  readonly callback_vars: Readonly<Record<string, { readonly sealed: string }>>;
  readonly turn_off_message_logging: boolean | null;
  readonly version: string;
  readonly is_disabled: boolean;
}

const statement = `
  select case when coalesce(c.team_id, d.team_id) is null then 'key' else 'team' end as kind,
         coalesce(c.team_id, d.team_id, c.key_id, d.key_id) as owner, c.id, c.callback_name, c.callback_type, c.callback_vars,
         c.turn_off_message_logging, c.updated_at::text || md5(c.callback_vars::text) as version, d.id is not null as is_disabled
  from ${SCHEMA}.owner_callbacks c full join ${SCHEMA}.logging_disabled d
    on coalesce('t' || d.team_id, 'k' || d.key_id) = coalesce('t' || c.team_id, 'k' || c.key_id)
  order by 1, 2, c.callback_name`;

export interface LoadedOwnerLogging {
  readonly teams: ReadonlyMap<string, OwnerLogging>;
  readonly keys: ReadonlyMap<string, OwnerLogging>;
  /** Values that must not be logged. */
  readonly secrets: readonly string[];
  /** Callbacks left out, and why. */
  readonly problems: readonly string[];
}

/** What all of them have said. @param allowed where their callbacks may lead */
export async function loadOwnerLogging(pool: pg.Pool, vault: Vault, allowed: Allowed): Promise<LoadedOwnerLogging> {
  const { rows } = await pool.query<Row>(statement).catch((thrown: unknown) => {
    throw asDatabaseTrouble(thrown);
  });
  type Growing = OwnerLogging & { readonly callbacks: OwnerCallbackSetup[] };
  const owners = { team: new Map<string, Growing>(), key: new Map<string, Growing>() };
  const secrets: string[] = [];
  const problems: string[] = [];
  for (const row of rows) {
    const { kind, owner } = row;
    const before = owners[kind].get(owner);
    const callbacks = before?.callbacks ?? [];
    owners[kind].set(owner, {
      isDisabled: row.is_disabled,
      turnsOffMessages: before?.turnsOffMessages === true || row.turn_off_message_logging === true,
      callbacks,
    });
    if (row.id === null) continue;
    try {
      const values = opened(row, row.id, vault);
      secrets.push(...Object.values(values));
      callbacks.push({ id: row.id, version: row.version, setup: setupOf(row, values, allowed) });
    } catch (error) {
      problems.push(`callback ${row.callback_name} of ${kind} ${owner}: ${String(error)}`);
    }
  }
  return { teams: owners.team, keys: owners.key, secrets, problems };
}

function opened({ callback_vars: kept }: Row, id: string, vault: Vault): Record<string, string> {
  const values = Object.entries(kept).map(([name, { sealed }]) => [name, vault.open(sealed, variablePlace(id, name))]);
  return Object.fromEntries(values);
}

function setupOf(row: Row, values: Readonly<Record<string, string>>, allowed: Allowed): CallbackSetup {
  return {
    name: row.callback_name,
    onSuccess: row.callback_type !== 'failure',
    onFailure: row.callback_type !== 'success',
    messageLogging: row.turn_off_message_logging === false,
    allowed,
    target: ownerTarget(row.callback_name, values),
  };
}

/** Where a variable is sealed: that of one must not open as that of another. */
export const variablePlace = (id: string, name: string): SealedPlace => ({
  table: 'owner_callbacks',
  column: `callback_vars.${name}`,
  row: id,
});
