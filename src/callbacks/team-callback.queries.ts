import type pg from 'pg';
import { asDatabaseTrouble } from '../db/errors.ts';
import { SCHEMA } from '../db/schema.ts';
import type { Allowed } from '../egress/guard.ts';
import type { SealedPlace, Vault } from '../kernel/encryption.ts';
import type { CallbackSetup, CallbackType } from './callback-settings.ts';
import { teamTarget } from './team-callback.target.ts';

/** What a team wants of its calls. */
export interface TeamLogging {
  /** Nobody is told of its calls, the operator's own callbacks included. */
  readonly isDisabled: boolean;
  /** Nothing of what is in its calls is kept or reported. */
  readonly turnsOffMessages: boolean;
  readonly callbacks: readonly TeamCallbackSetup[];
}

interface TeamCallbackSetup {
  readonly id: string;
  /** Changes with the row. */
  readonly version: string;
  readonly setup: CallbackSetup;
}

interface Row {
  readonly team_id: string;
  readonly id: string | null;
  readonly callback_name: string;
  readonly callback_type: CallbackType;
  readonly callback_vars: Readonly<Record<string, { readonly sealed: string }>>;
  readonly turn_off_message_logging: boolean | null;
  readonly version: string;
  readonly is_disabled: boolean;
}

const statement = `
  select coalesce(c.team_id, d.team_id) as team_id, c.id, c.callback_name, c.callback_type, c.callback_vars,
         c.turn_off_message_logging, c.updated_at::text || md5(c.callback_vars::text) as version, d.team_id is not null as is_disabled
  from ${SCHEMA}.team_callbacks c full join ${SCHEMA}.team_logging_disabled d on d.team_id = c.team_id
  order by 1, c.callback_name`;

export interface LoadedTeamLogging {
  readonly teams: ReadonlyMap<string, TeamLogging>;
  /** Values that must not be logged. */
  readonly secrets: readonly string[];
  /** Callbacks left out, and why. */
  readonly problems: readonly string[];
}

/** What all teams want. @param allowed where their callbacks may lead */
export async function loadTeamLogging(pool: pg.Pool, vault: Vault, allowed: Allowed): Promise<LoadedTeamLogging> {
  const { rows } = await pool.query<Row>(statement).catch((thrown: unknown) => {
    throw asDatabaseTrouble(thrown);
  });
  const teams = new Map<string, TeamLogging & { readonly callbacks: TeamCallbackSetup[] }>();
  const secrets: string[] = [];
  const problems: string[] = [];
  for (const row of rows) {
    const before = teams.get(row.team_id);
    const callbacks = before?.callbacks ?? [];
    teams.set(row.team_id, {
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
      problems.push(`callback ${row.callback_name} of team ${row.team_id}: ${String(error)}`);
    }
  }
  return { teams, secrets, problems };
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
    target: teamTarget(row.callback_name, values),
  };
}

/** Where a variable is sealed: that of one must not open as that of another. */
export const variablePlace = (id: string, name: string): SealedPlace => ({
  table: 'team_callbacks',
  column: `callback_vars.${name}`,
  row: id,
});
