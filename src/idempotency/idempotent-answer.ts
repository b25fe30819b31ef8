import { randomBytes } from 'node:crypto';
import type { EntityManager } from '@mikro-orm/postgresql';
import { SCHEMA } from '../db/schema.ts';
import { GatewayError } from '../kernel/errors.ts';
import type { Actor, AnyOperation } from '../kernel/operation.ts';
import { type Derived, derive, requireIdempotencyKey, rowId } from './idempotency-key.ts';

/** How long an answer is kept, by the database's clock, so that all daemons agree. */
const KEPT = '24 hours';

/** How long one call waits for another with the same key before it is told to come again. */
const PATIENCE_MS = 1_000;

/** Expired rows deleted when a new one is written: more than come in, and no long statement. */
const FORGOTTEN_AT_ONCE = 100;

export type Answer = Record<string, unknown>;

interface Row {
  readonly salt: string;
  readonly fingerprint: string;
  readonly answer: string;
}

export interface IdempotentRequest {
  readonly key: string;
  readonly actor: Actor;
  readonly operation: AnyOperation<never>;
  /** As it travelled. */
  readonly given: unknown;
}

/**
 * The answer to one change, kept for the caller that sends the change again. Its row is written in the transaction of
 * the change: both are there or neither, and of two calls at once the second waits at the unique id of the row.
 */
export class IdempotentAnswer {
  readonly #em: EntityManager;
  readonly #id: string;
  readonly #key: string;
  readonly #request: string;
  #derived: Derived | undefined;

  /** @throws GatewayError 400 for a key that is empty, too long or not printable */
  constructor(em: EntityManager, { key, actor, operation, given }: IdempotentRequest) {
    requireIdempotencyKey(key);
    this.#em = em;
    this.#id = rowId(actor, key);
    this.#key = key;
    this.#request = canonical([...operation.route, given]);
  }

  /**
   * The answer from the first time. Where there is none, this is the first time, and `keep` has to follow.
   *
   * @throws GatewayError 409 when the key came with another request before, or comes with one that is being made now
   */
  async earlier(): Promise<Answer | undefined> {
    const salt = randomBytes(16).toString('base64url');
    const derived = derive(this.#key, salt);
    if (await this.#claim(salt, derived.fingerprint(this.#request))) {
      this.#derived = derived;
      await this.#forgetExpired();
      return undefined;
    }
    const [row] = await this.#em.execute<Row[]>(
      `select salt, fingerprint, answer from ${SCHEMA}.idempotency_keys where id = ?`,
      [this.#id],
    );
    // It ended between the two statements: the next attempt is a first time.
    if (!row) throw inProgress();
    const { vault, fingerprint } = derive(this.#key, row.salt);
    if (fingerprint(this.#request) !== row.fingerprint) throw mismatch();
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- what `keep` sealed, and nobody without the key can
    return JSON.parse(vault.open(row.answer, this.#place)) as Answer;
  }

  async keep(answer: Answer): Promise<void> {
    const sealed = this.#derived?.vault.seal(JSON.stringify(answer), this.#place);
    await this.#em.execute(`update ${SCHEMA}.idempotency_keys set answer = ? where id = ?`, [sealed, this.#id]);
  }

  get #place() {
    return { table: 'idempotency_keys', column: 'answer', row: this.#id };
  }

  /** Whether this call is the first with its key. A row that has expired and is not deleted yet counts for nothing. */
  async #claim(salt: string, fingerprint: string): Promise<boolean> {
    await this.#em.execute(`set local lock_timeout = ${PATIENCE_MS}`);
    try {
      const claimed: unknown[] = await this.#em.execute(
        `insert into ${SCHEMA}.idempotency_keys as known (id, salt, fingerprint, created_at, expires_at)
         values (?, ?, ?, now(), now() + interval '${KEPT}')
         on conflict (id) do update set salt = excluded.salt, fingerprint = excluded.fingerprint, answer = null,
           created_at = excluded.created_at, expires_at = excluded.expires_at
         where known.expires_at <= now() returning id`,
        [this.#id, salt, fingerprint],
      );
      // Only the wait for another call is short: the change itself waits for locks as it always does.
      await this.#em.execute('set local lock_timeout = default');
      return claimed.length > 0;
    } catch (error) {
      throw isLockTimeout(error) ? inProgress(error) : error;
    }
  }

  async #forgetExpired(): Promise<void> {
    await this.#em.execute(
      `delete from ${SCHEMA}.idempotency_keys where id in (
         select id from ${SCHEMA}.idempotency_keys where expires_at <= now()
         order by expires_at limit ${FORGOTTEN_AT_ONCE} for update skip locked)`,
    );
  }
}

/** One text for one request: a client that builds its JSON anew may put the members in another order. */
const canonical = (request: unknown): string =>
  JSON.stringify(request, (_, value: unknown) =>
    typeof value === 'object' && value !== null && !Array.isArray(value)
      ? Object.fromEntries(Object.entries(value).toSorted(([a], [b]) => (a < b ? -1 : 1)))
      : value,
  );

const isLockTimeout = (error: unknown): boolean => error instanceof Error && 'code' in error && error.code === '55P03';

const inProgress = (cause?: unknown): GatewayError =>
  new GatewayError('conflict', 'idempotency_in_progress', 'A change with this Idempotency-Key is being made now', {
    hint: 'Send the same change again in a moment; it is answered with what the first one did.',
    headers: { 'retry-after': '1' },
    cause,
  });

const mismatch = (): GatewayError =>
  new GatewayError(
    'conflict',
    'idempotency_mismatch',
    'This Idempotency-Key was used for another change: its route or its body was not the same',
    { param: 'idempotency-key', hint: 'Use a new key for a new change, or send the very same change again.' },
  );
