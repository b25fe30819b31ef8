import type { AuditService } from '../audit/audit.service.ts';
import { SCHEMA } from '../db/schema.ts';
import { createStamp, type Work } from '../db/work.ts';
import type { Vault } from '../kernel/encryption.ts';
import { GatewayError } from '../kernel/errors.ts';
import { bodyPlace } from './body-store.ts';

interface BodyRow {
  readonly request_id: string;
  readonly created_at: Date;
  readonly request: string | null;
  readonly response: string | null;
  readonly redacted_at: Date | null;
  readonly redacted_by: string | null;
}

export interface LoggedBodies {
  readonly requestId: string;
  readonly createdAt: Date;
  readonly request: string | null;
  readonly response: string | null;
  readonly redactedAt: Date | null;
  readonly redactedBy: string | null;
}

/** What was asked and answered in calls, where that is kept. */
export class BodyService {
  readonly #work: Work;
  readonly #parts: { readonly audit: AuditService; readonly vault: Vault };

  constructor(work: Work, parts: { readonly audit: AuditService; readonly vault: Vault }) {
    this.#work = work;
    this.#parts = parts;
  }

  /** @throws GatewayError 404 where nothing of the call is kept */
  async get(requestId: string): Promise<LoggedBodies> {
    const [row] = await this.#work.em.execute<BodyRow[]>(
      `select request_id, created_at, request, response, redacted_at, redacted_by
       from ${SCHEMA}.spend_log_bodies where request_id = ?`,
      [requestId],
    );
    if (!row) throw unknown(requestId);
    const open = (column: 'request' | 'response') => {
      const sealed = row[column];
      return sealed === null ? null : this.#parts.vault.open(sealed, bodyPlace(requestId, column));
    };
    return {
      requestId,
      createdAt: new Date(row.created_at),
      request: open('request'),
      response: open('response'),
      redactedAt: row.redacted_at && new Date(row.redacted_at),
      redactedBy: row.redacted_by,
    };
  }

  /**
   * Takes away what is kept of a call. The row stays and says so, so that what is still on its way is not kept either.
   *
   * @throws GatewayError 404 where there is no such call
   */
  async redact(requestId: string): Promise<LoggedBodies> {
    const { em, now } = this.#work;
    if (!(await this.#isKnown(requestId))) throw unknown(requestId);
    const { createdBy: by } = createStamp(this.#work);
    await em.execute(
      `insert into ${SCHEMA}.spend_log_bodies (request_id, created_at, redacted_at, redacted_by) values (?, ?, ?, ?)
       on conflict (request_id) do update set request = null, response = null,
         redacted_at = excluded.redacted_at, redacted_by = excluded.redacted_by`,
      [requestId, now, now, by],
    );
    this.#parts.audit.record({ action: 'deleted', object: 'spend_log_body', id: requestId });
    return this.get(requestId);
  }

  async #isKnown(requestId: string): Promise<boolean> {
    const rows = await this.#work.em.execute<unknown[]>(
      `select 1 from ${SCHEMA}.spend_log_bodies where request_id = ?
       union all select 1 from ${SCHEMA}.spend_logs where request_id = ? limit 1`,
      [requestId, requestId],
    );
    return rows.length > 0;
  }
}

const unknown = (requestId: string): GatewayError =>
  new GatewayError('notFound', 'not_found_error', `Nothing is kept of a call "${requestId}"`, {
    param: 'request_id',
    hint: 'Requests and answers are kept with log_bodies only, and for as long as body_retention says.',
  });
