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

/** A column of which each row holds one. */
const inColumn = (
  purpose: VaultPurpose,
  { table, id, column }: { readonly table: string; readonly id: string; readonly column: string },
): SealedField => ({
  purpose,
  table,
  read: `select ${id} as id, '' as name, ${column} as sealed from ${SCHEMA}.${table}
         where ${column} like 'gwenc:%' and (${id}, '') > ($1, $2) order by ${id} limit $3`,
  write: `update ${SCHEMA}.${table} set ${column} = $4 where ${id} = $1 and $2 = '' and ${column} = $3`,
  column: () => column,
});

/** A JSON object of which each member may hold one. */
const inMembers = (purpose: VaultPurpose, table: string, column: string): SealedField => ({
  purpose,
  table,
  read: `select t.id, v.key as name, v.value ->> 'sealed' as sealed
         from ${SCHEMA}.${table} t, jsonb_each(t.${column}) v
         where v.value ->> 'sealed' like 'gwenc:%' and (t.id, v.key) > ($1, $2) order by t.id, v.key limit $3`,
  write: `update ${SCHEMA}.${table}
          set ${column} = jsonb_set(${column}, array[$2::text, 'sealed'], to_jsonb($4::text))
          where id = $1 and ${column} -> $2 ->> 'sealed' = $3`,
  column: (name) => `${column}.${name}`,
});

const fields: readonly SealedField[] = [
  inColumn('provider-credential', { table: 'models', id: 'id', column: 'api_key' }),
  inMembers('provider-credential', 'credentials', 'credential_values'),
  inMembers('provider-credential', 'pass_through_endpoints', 'headers'),
  inMembers('callback', 'owner_callbacks', 'callback_vars'),
  inColumn('logged-body', { table: 'spend_log_bodies', id: 'request_id', column: 'request' }),
  inColumn('logged-body', { table: 'spend_log_bodies', id: 'request_id', column: 'response' }),
  inColumn('audit-mac', { table: 'audit_keys', id: 'id', column: 'sealed' }),
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
