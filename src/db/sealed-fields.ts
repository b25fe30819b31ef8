import type pg from 'pg';
import type { SealedPlace, VaultPurpose } from '../kernel/encryption.ts';
import { SCHEMA } from './schema.ts';

/** A column that holds sealed texts. Whoever adds one enters it here, or the key it was sealed with can never be retired. */
interface SealedField {
  readonly purpose: VaultPurpose;
  readonly table: string;
  /** Rows as id, name and sealed text, after $1 and $2 and at most $3. */
  readonly read: string;
  /** Puts $4 in the place of $3, in row $1 under name $2, and does nothing where $3 is no longer there. */
  readonly write: string;
  readonly column: (name: string) => string;
}

const fields: readonly SealedField[] = [
  {
    purpose: 'provider-credential',
    table: 'models',
    read: `select id, '' as name, api_key as sealed from ${SCHEMA}.models
           where api_key like 'gwenc:%' and (id, '') > ($1, $2) order by id limit $3`,
    write: `update ${SCHEMA}.models set api_key = $4 where id = $1 and $2 = '' and api_key = $3`,
    column: () => 'api_key',
  },
  {
    purpose: 'provider-credential',
    table: 'credentials',
    read: `select c.id, v.key as name, v.value ->> 'sealed' as sealed
           from ${SCHEMA}.credentials c, jsonb_each(c.credential_values) v
           where v.value ->> 'sealed' like 'gwenc:%' and (c.id, v.key) > ($1, $2) order by c.id, v.key limit $3`,
    write: `update ${SCHEMA}.credentials
            set credential_values = jsonb_set(credential_values, array[$2::text, 'sealed'], to_jsonb($4::text))
            where id = $1 and credential_values -> $2 ->> 'sealed' = $3`,
    column: (name) => `credential_values.${name}`,
  },
  {
    purpose: 'provider-credential',
    table: 'pass_through_endpoints',
    read: `select e.id, v.key as name, v.value ->> 'sealed' as sealed
           from ${SCHEMA}.pass_through_endpoints e, jsonb_each(e.headers) v
           where v.value ->> 'sealed' like 'gwenc:%' and (e.id, v.key) > ($1, $2) order by e.id, v.key limit $3`,
    write: `update ${SCHEMA}.pass_through_endpoints
            set headers = jsonb_set(headers, array[$2::text, 'sealed'], to_jsonb($4::text))
            where id = $1 and headers -> $2 ->> 'sealed' = $3`,
    column: (name) => `headers.${name}`,
  },
  {
    purpose: 'callback',
    table: 'owner_callbacks',
    read: `select c.id, v.key as name, v.value ->> 'sealed' as sealed
           from ${SCHEMA}.owner_callbacks c, jsonb_each(c.callback_vars) v
           where v.value ->> 'sealed' like 'gwenc:%' and (c.id, v.key) > ($1, $2) order by c.id, v.key limit $3`,
    write: `update ${SCHEMA}.owner_callbacks
            set callback_vars = jsonb_set(callback_vars, array[$2::text, 'sealed'], to_jsonb($4::text))
            where id = $1 and callback_vars -> $2 ->> 'sealed' = $3`,
    column: (name) => `callback_vars.${name}`,
  },
  {
    purpose: 'logged-body',
    table: 'spend_log_bodies',
    read: `select request_id as id, '' as name, request as sealed from ${SCHEMA}.spend_log_bodies
           where request like 'gwenc:%' and (request_id, '') > ($1, $2) order by request_id limit $3`,
    write: `update ${SCHEMA}.spend_log_bodies set request = $4 where request_id = $1 and $2 = '' and request = $3`,
    column: () => 'request',
  },
  {
    purpose: 'logged-body',
    table: 'spend_log_bodies',
    read: `select request_id as id, '' as name, response as sealed from ${SCHEMA}.spend_log_bodies
           where response like 'gwenc:%' and (request_id, '') > ($1, $2) order by request_id limit $3`,
    write: `update ${SCHEMA}.spend_log_bodies set response = $4 where request_id = $1 and $2 = '' and response = $3`,
    column: () => 'response',
  },
  {
    purpose: 'audit-mac',
    table: 'audit_keys',
    read: `select id, '' as name, sealed from ${SCHEMA}.audit_keys
           where sealed like 'gwenc:%' and (id, '') > ($1, $2) order by id limit $3`,
    write: `update ${SCHEMA}.audit_keys set sealed = $4 where id = $1 and $2 = '' and sealed = $3`,
    column: () => 'sealed',
  },
];

export interface SealedText {
  readonly purpose: VaultPurpose;
  readonly place: SealedPlace;
  readonly sealed: string;
  /** Puts another text there; false when somebody else did so first. */
  readonly replace: (text: string) => Promise<boolean>;
}

const rowsAtOnce = 500;

/** Every sealed text of the database, a few hundred at a time. */
export async function* sealedTexts(pool: pg.Pool): AsyncGenerator<SealedText> {
  for (const { purpose, table, read, write, column } of fields) {
    let last: readonly [id: string, name: string] = ['', ''];
    for (;;) {
      const { rows } = await pool.query<{ id: string; name: string; sealed: string }>(read, [...last, rowsAtOnce]);
      for (const { id, name, sealed } of rows) {
        last = [id, name];
        yield {
          purpose,
          place: { table, column: column(name), row: id },
          sealed,
          replace: async (text) => ((await pool.query(write, [id, name, sealed, text])).rowCount ?? 0) > 0,
        };
      }
      if (rows.length < rowsAtOnce) break;
    }
  }
}
