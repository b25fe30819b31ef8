import type pg from 'pg';
import { SCHEMA } from '../db/schema.ts';
import type { SealedPlace, Vault } from '../kernel/encryption.ts';
import type { CallEvent } from './call-event.ts';
import type { Destination } from './destination.ts';
import { shownBodies } from './payload.ts';

/** Where a body is sealed: that of one call must not open as that of another, nor a request as an answer. */
export const bodyPlace = (requestId: string, column: 'request' | 'response'): SealedPlace => ({
  table: 'spend_log_bodies',
  column,
  row: requestId,
});

const insert = `
  insert into ${SCHEMA}.spend_log_bodies (request_id, created_at, key_id, team_id, request, response)
  select request_id, now(), key_id, team_id, request, response
  from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[])
    as t (request_id, key_id, team_id, request, response)
  on conflict (request_id) do nothing`;

/** What was asked and answered, in a table of its own, each text sealed for its row. What was redacted stays so. */
export function bodyStore(pool: pg.Pool, vault: Vault): Destination {
  const seal = (requestId: string, column: 'request' | 'response', text: string | undefined): string | null =>
    text === undefined ? null : vault.seal(text.replaceAll('\0', ''), bodyPlace(requestId, column));
  return {
    name: 'spend_log_bodies',
    hasBodies: true,
    wants: ({ bodies }) => bodies?.request !== undefined || bodies?.response !== undefined,
    async deliver(batch: readonly CallEvent[]) {
      await pool.query(insert, [
        batch.map(({ requestId }) => requestId),
        batch.map(({ principal }) => principal.keyId),
        batch.map(({ principal }) => principal.teamId),
        batch.map(({ requestId, bodies }) => seal(requestId, 'request', bodies && shownBodies(bodies).request)),
        batch.map(({ requestId, bodies }) => seal(requestId, 'response', bodies && shownBodies(bodies).response)),
      ]);
      return { outcome: 'delivered' };
    },
  };
}

/** Rows in one statement, which holds them locked. */
const rowsAtOnce = 1_000;

/** Deletes bodies past their retention, by the database's clock. @returns how many */
export async function dropBodies(pool: pg.Pool, retentionMs: number): Promise<number> {
  for (let dropped = 0; ;) {
    const { rowCount } = await pool.query(
      `delete from ${SCHEMA}.spend_log_bodies where request_id in (
         select request_id from ${SCHEMA}.spend_log_bodies
         where created_at < now() - make_interval(secs => $1) order by created_at limit $2)`,
      [retentionMs / 1_000, rowsAtOnce],
    );
    dropped += rowCount ?? 0;
    if ((rowCount ?? 0) < rowsAtOnce) return dropped;
  }
}
