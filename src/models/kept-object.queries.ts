import type pg from 'pg';
import { SCHEMA } from '../db/schema.ts';
import type { KeptObjects } from '../proxy/kept-list.ts';

const table = `${SCHEMA}.kept_objects`;

/** In the database, for all daemons. None of this is on the way of a call of a model. */
export const keptObjectsIn = (pool: pg.Pool): KeptObjects => ({
  async remember({ id, owner, kind, object }) {
    await pool.query(
      `insert into ${table} (id, owner, kind, object, created_at) values ($1, $2, $3, $4, now())
       on conflict (id) do update set object = excluded.object where kept_objects.owner = excluded.owner`,
      [id, owner, kind, JSON.stringify(object)],
    );
  },

  async forget(id) {
    await pool.query(`delete from ${table} where id = $1`, [id]);
  },

  async list({ owner, kind, purpose, after, isAscending, limit }) {
    const [direction, beyond] = isAscending ? ['asc', '>'] : ['desc', '<'];
    const { rows } = await pool.query<{ object: Record<string, unknown> }>(
      `select object from ${table}
        where owner = $1 and kind = $2 and ($3::text is null or object ->> 'purpose' = $3)
          and ($4::text is null
               or (created_at, id) ${beyond} (select created_at, id from ${table} where id = $4 and owner = $1))
        order by created_at ${direction}, id ${direction} limit $5`,
      [owner, kind, purpose ?? null, after ?? null, limit],
    );
    return rows.map(({ object }) => object);
  },
});
