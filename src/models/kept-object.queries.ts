import type pg from 'pg';
import { SCHEMA } from '../db/schema.ts';
import type { KeptObjects } from '../proxy/kept-list.ts';

const table = `${SCHEMA}.kept_objects`;
const batches = `${SCHEMA}.batches`;

/** Of what one that has just been made is looked at the first time. */
const firstLook = '30 seconds';

/**
 * In the database, for all daemons. None of this is on the way of a call of a model.
 *
 * @param read makes a size of what is kept of it
 * @param onEnd told when a batch is known to be over
 */
export const keptObjectsIn = (
  pool: pg.Pool,
  { readSize, onEnd }: { readonly readSize: (value: unknown) => Size; readonly onEnd: () => void },
): KeptObjects => ({
  async remember({ id, owner, kind, object, batchSize = null }) {
    await pool.query(
      `insert into ${table} (id, owner, kind, object, batch_size, created_at) values ($1, $2, $3, $4, $5, now())
       on conflict (id) do update set object = excluded.object where kept_objects.owner = excluded.owner`,
      [id, owner, kind, JSON.stringify(object), batchSize && JSON.stringify(batchSize)],
    );
  },

  async batchSize(fileId) {
    const { rows } = await pool.query<{ batch_size: unknown }>(`select batch_size from ${table} where id = $1`, [
      fileId,
    ]);
    return readSize(rows[0]?.batch_size);
  },

  async openBatch({ id, requestId, deploymentId, upstreamId, upstreamModel, lines }) {
    await pool.query(
      `insert into ${batches} (id, request_id, deployment_id, upstream_id, upstream_model, lines, next_look_at, created_at)
       values ($1, $2, $3, $4, $5, $6, now() + interval '${firstLook}', now()) on conflict (id) do nothing`,
      [id, requestId, deploymentId, upstreamId, upstreamModel, lines],
    );
  },

  async endBatch(id) {
    const { rowCount } = await pool.query(
      `update ${batches} set next_look_at = now(), looks = 0 where id = $1 and state = 'open' and next_look_at > now()`,
      [id],
    );
    if (rowCount) onEnd();
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

type Size = Awaited<ReturnType<KeptObjects['batchSize']>>;
