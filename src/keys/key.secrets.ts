import { SCHEMA } from '../db/schema.ts';
import { sqlArray } from '../db/sql-array.ts';
import type { Work } from '../db/work.ts';
import { after, type Duration } from '../kernel/duration.ts';
import { RetiredToken } from './key.entity.ts';
import { secretTaken } from './key.errors.ts';

interface TokenRow {
  readonly key_id: string;
  readonly token: string;
}

/** The secrets, by hash, that keys had before: those in their grace, and those that must never be used again. */
export class KeySecrets {
  readonly #work: Work;

  constructor(work: Work) {
    this.#work = work;
  }

  /**
   * The retired secrets of keys, and deletes those whose grace has ended: a daemon may hold either. By the database's
   * clock, as the look-up goes: a secret that is over here may live on in a daemon whose clock is behind.
   */
  async retired(keyIds: readonly string[]): Promise<Map<string, string[]>> {
    const rows = await this.#work.em.execute<TokenRow[]>(
      `with forgotten as (
         delete from ${SCHEMA}.retired_tokens where key_id = any (?::text[]) and expires_at <= now() returning key_id, token
       )
       select key_id, token from forgotten
       union select key_id, token from ${SCHEMA}.retired_tokens where key_id = any (?::text[])`,
      [sqlArray(keyIds), sqlArray(keyIds)],
    );
    const tokens = new Map<string, string[]>();
    for (const { key_id: id, token } of rows) tokens.set(id, [...(tokens.get(id) ?? []), token]);
    return tokens;
  }

  /** Without a grace it is a leak that is being stopped: no earlier secret may outlive it. Answers with those that end. */
  async retire(keyId: string, token: string, grace: Duration | undefined): Promise<string[]> {
    const { em, now } = this.#work;
    await this.end([{ key_id: keyId, token }]);
    if (grace) {
      em.create(RetiredToken, { token, keyId, expiresAt: after(now, grace) });
      return [token];
    }
    const ended = await em.execute<TokenRow[]>(
      `delete from ${SCHEMA}.retired_tokens where key_id = ? returning key_id, token`,
      [keyId],
    );
    return [token, ...ended.map((row) => row.token)];
  }

  async end(tokens: readonly TokenRow[]): Promise<void> {
    await this.#work.em.execute(
      `insert into ${SCHEMA}.ended_tokens (token, key_id, ended_at)
       select token, key_id, ? from unnest(?::text[], ?::text[]) as ended (token, key_id) on conflict do nothing`,
      [this.#work.now, sqlArray(tokens.map(({ token }) => token)), sqlArray(tokens.map(({ key_id: id }) => id))],
    );
  }

  /**
   * Asked after the row with the secret was written: a rotation or deletion under way at the same time has been waited
   * for by then, and what it ended is seen.
   *
   * @throws GatewayError 400 when the secret was once that of a key
   */
  async requireUnused(token: string): Promise<void> {
    const rows = await this.#work.em.execute<unknown[]>(
      `select 1 from ${SCHEMA}.ended_tokens where token = ?
       union all select 1 from ${SCHEMA}.deleted_keys where token = ?`,
      [token, token],
    );
    if (rows.length > 0) throw secretTaken();
  }
}
