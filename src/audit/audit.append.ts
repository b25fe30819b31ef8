import { randomInt } from 'node:crypto';
import type { EntityManager } from '@mikro-orm/postgresql';
import { SCHEMA } from '../db/schema.ts';
import { sqlArray } from '../db/sql-array.ts';
import { GatewayError } from '../kernel/errors.ts';
import type { AuditKeys } from './audit.keys.ts';
import { type AuditMac, type Head, isSame, type Row } from './audit.mac.ts';

/**
 * Chains of one key. A change holds the head of one until its commit is on disk, so as many changes commit at once as
 * there are chains; more than the connections of a daemon would gain nothing.
 */
export const CHAINS = 16;

const rowsAtOnce = 500;

/**
 * Adds rows to chains. A process remembers the ends it has made and continues them without asking for them first, each
 * chain in its turn, so that its changes do not meet. An end that has moved meanwhile, since another process was there or
 * a transaction was rolled back, matches no row and is asked for.
 */
export class Chains {
  readonly keys: AuditKeys;
  readonly #known = new Map<number, Head>();
  #turn = 0;

  constructor(keys: AuditKeys) {
    this.keys = keys;
  }

  /**
   * Adds rows to a chain, in the transaction that is open. The last thing before its commit: until then the chain is
   * nobody else's.
   *
   * @throws GatewayError when no chain can be continued: rows added behind a forged one would make it look good
   */
  async append(em: EntityManager, rows: readonly Row[]): Promise<void> {
    if (rows.length === 0) return;
    const mac = await this.keys.forWriting(em);
    const first = rows.slice(0, rowsAtOnce);
    let head = (await this.#continue(em, mac, first)) ?? (await this.#ask(em, mac, first));
    for (let from = rowsAtOnce; from < rows.length; from += rowsAtOnce) {
      head = await mustInsert(em, mac, { head, rows: rows.slice(from, from + rowsAtOnce) });
    }
    // Without a key, each time is asked whether there is one now.
    if (mac.keyId !== '') this.#known.set(head.chain, head);
  }

  /** Behind an end that is known, if it is still there. */
  async #continue(em: EntityManager, mac: AuditMac, rows: readonly Row[]): Promise<Head | undefined> {
    this.#turn = (this.#turn + 1) % CHAINS;
    const head = this.#known.get(this.#turn);
    if (!head) return undefined;
    const next = await insert(em, mac, { head, rows });
    if (next) return next;
    this.#known.delete(head.chain);
    // Waiting for it has locked it. To take another as well could be a deadlock.
    const found = await read(em, mac, head.chain);
    return found && isGood(mac, found) ? mustInsert(em, mac, { head: found, rows }) : undefined;
  }

  async #ask(em: EntityManager, mac: AuditMac, rows: readonly Row[]): Promise<Head> {
    const head = await takeHead(em, mac, { notYet: [...this.#known.keys()] });
    return mustInsert(em, mac, { head, rows });
  }
}

interface Insertion {
  readonly head: Head;
  readonly rows: readonly Row[];
}

async function mustInsert(em: EntityManager, mac: AuditMac, insertion: Insertion): Promise<Head> {
  const next = await insert(em, mac, insertion);
  if (next) return next;
  throw new Error(`Chain ${insertion.head.chain} of the audit log is locked and has moved all the same`);
}

const values = `(?::text, ?::timestamptz, ?::text, ?::text, ?::text, ?::text, ?::text, ?::text, ?::jsonb, ?::jsonb,
  ?::text, ?::text, ?::text[], ?::text, ?::smallint, ?::bigint, decode(?, 'hex'))`;

/** One statement, so that rows have no place in a chain that did not end where they begin; nothing is done then. */
async function insert(em: EntityManager, mac: AuditMac, { head, rows }: Insertion): Promise<Head | undefined> {
  let { seq, hash } = head;
  const { keyId, chain } = head;
  const chained = rows.flatMap((row) => {
    hash = mac.row({ keyId, chain, seq: ++seq }, hash, row);
    return [...valuesOf(row), keyId, chain, seq, hash.toString('hex')];
  });
  const next = { keyId, chain, seq, hash };
  const inserted = await em.execute<unknown[]>(
    `with head as (
       update ${SCHEMA}.audit_heads set seq = ?, hash = decode(?, 'hex'), mac = decode(?, 'hex')
       where key_id = ? and chain = ? and seq = ? and hash = decode(?, 'hex') returning 1
     )
     insert into ${SCHEMA}.audit_log (id, at, actor, via, changed_by, action, object_type, object_id, before, after,
       request_id, client, organization_ids, key_id, chain, seq, hash)
     select given.* from head, (values ${rows.map(() => values).join(', ')}) given returning 1`,
    [
      seq,
      hash.toString('hex'),
      mac.head(next).toString('hex'),
      keyId,
      chain,
      head.seq,
      head.hash.toString('hex'),
      ...chained,
    ],
  );
  return inserted.length > 0 ? next : undefined;
}

const valuesOf = (row: Row): unknown[] => [
  row.id,
  row.at,
  row.actor,
  row.via,
  row.changed_by,
  row.action,
  row.object_type,
  row.object_id,
  jsonOf(row.before),
  jsonOf(row.after),
  row.request_id,
  row.client,
  row.organization_ids && sqlArray(row.organization_ids),
];

const jsonOf = (value: unknown): string | null =>
  value === null || value === undefined ? null : JSON.stringify(value);

/**
 * A head that nobody else holds, or else the first to become free. One that was tampered with stays as it is, for
 * `audit verify` to name.
 *
 * @param notYet chains that are only taken when there is no other
 */
async function takeHead(em: EntityManager, mac: AuditMac, { notYet }: { notYet: readonly number[] }): Promise<Head> {
  if (mac.keyId === '') await refuseUnkeyed(em);
  const forged: number[] = [];
  for (;;) {
    const found =
      (await lock(em, mac, [...forged, ...notYet])) ??
      (await lock(em, mac, forged)) ??
      (await waitFor(em, mac, forged));
    if (isGood(mac, found)) return found;
    forged.push(found.chain);
  }
}

interface FoundHead extends Head {
  readonly mac: Buffer;
}

const isGood = (mac: AuditMac, found: FoundHead): boolean => isSame(mac.head(found), found.mac);

interface HeadRow {
  readonly chain: number;
  readonly seq: string;
  readonly hash: string;
  readonly mac: string;
}

const selectHeads = `select chain, seq::text, encode(hash, 'hex') as hash, encode(mac, 'hex') as mac
  from ${SCHEMA}.audit_heads where key_id = ?`;

const headOf = ({ keyId }: AuditMac, [row]: readonly HeadRow[]): FoundHead | undefined =>
  row && {
    keyId,
    chain: row.chain,
    seq: Number(row.seq),
    hash: Buffer.from(row.hash, 'hex'),
    mac: Buffer.from(row.mac, 'hex'),
  };

async function lock(em: EntityManager, mac: AuditMac, not: readonly number[]): Promise<FoundHead | undefined> {
  const sql = `${selectHeads} and chain <> all (?::int[]) limit 1 for update skip locked`;
  return headOf(mac, await em.execute<HeadRow[]>(sql, [mac.keyId, `{${not.join()}}`]));
}

async function read(em: EntityManager, mac: AuditMac, chain: number): Promise<FoundHead | undefined> {
  return headOf(mac, await em.execute<HeadRow[]>(`${selectHeads} and chain = ? for update`, [mac.keyId, chain]));
}

async function waitFor(em: EntityManager, mac: AuditMac, forged: readonly number[]): Promise<FoundHead> {
  const rows = await em.execute<HeadRow[]>(selectHeads, [mac.keyId]);
  if (rows.length === 0) await begin(em, mac);
  const chains = rows.length === 0 ? [0] : rows.map(({ chain }) => chain).filter((each) => !forged.includes(each));
  const chain = chains.length > 0 ? chains[randomInt(chains.length)] : undefined;
  const found = chain === undefined ? undefined : await read(em, mac, chain);
  if (!found) throw chainsBroken();
  return found;
}

/** All chains of a key begin together, so that one that is missing later was taken away. */
async function begin(em: EntityManager, mac: AuditMac): Promise<void> {
  const { keyId } = mac;
  const left = await em.execute<unknown[]>(`select 1 from ${SCHEMA}.audit_log where key_id = ? limit 1`, [keyId]);
  if (left.length > 0) throw chainsBroken();
  const heads = Array.from({ length: CHAINS }, (_, chain) => {
    const head = { keyId, chain, seq: 0, hash: mac.genesis({ keyId, chain }) };
    return { key_id: keyId, chain, seq: 0, hash: hex(head.hash), mac: hex(mac.head(head)) };
  });
  await em.execute(
    `insert into ${SCHEMA}.audit_heads
     select * from jsonb_populate_recordset(null::${SCHEMA}.audit_heads, ?::jsonb) on conflict do nothing`,
    [JSON.stringify(heads)],
  );
}

const hex = (bytes: Buffer): string => `\\x${bytes.toString('hex')}`;

/** A row that anybody could have made, among rows that nobody could: it would have to be taken for forged. */
async function refuseUnkeyed(em: EntityManager): Promise<void> {
  const keyed = await em.execute<unknown[]>(`select 1 from ${SCHEMA}.audit_heads where key_id <> '' limit 1`);
  if (keyed.length === 0) return;
  throw new GatewayError(
    'config',
    'encryption_key_missing',
    'The audit log of this database is chained with an encryption key, and this gateway has none',
    { hint: 'Give it the key the daemons have: GATEWAYCTL_ENCRYPTION_KEY_FILE. Reading needs none.' },
  );
}

const chainsBroken = (): GatewayError =>
  new GatewayError(
    'system',
    'audit_chain_broken',
    'The audit log was tampered with, and no chain of it can be continued',
    {
      hint: 'Nothing was changed. See what was done to it: gatewayctl audit verify. Then restore the database from a backup.',
    },
  );
