import { randomInt } from 'node:crypto';
import type { EntityManager } from '@mikro-orm/postgresql';
import { SCHEMA } from '../db/schema.ts';
import { GatewayError } from '../kernel/errors.ts';
import { type AuditMac, type Head, isSame, type Row } from './audit.mac.ts';

/**
 * Chains of one key. A change holds the head of one until its commit is on disk, so as many changes commit at once as
 * there are chains; more than the connections of a daemon would gain nothing.
 */
export const CHAINS = 16;

const rowsAtOnce = 500;

/**
 * Adds rows to a chain, in the transaction that is open. The last thing before its commit: until then the chain is
 * nobody else's.
 *
 * @throws GatewayError when no chain can be continued: rows added behind a forged one would make it look good
 */
export async function append(em: EntityManager, mac: AuditMac, rows: readonly Row[]): Promise<void> {
  let head = await takeHead(em, mac);
  for (let from = 0; from < rows.length; from += rowsAtOnce) {
    head = await insert(em, mac, { head, rows: rows.slice(from, from + rowsAtOnce) });
  }
}

const columns =
  'id, at, actor, via, changed_by, action, object_type, object_id, before, after, request_id, client, key_id, chain, seq, hash';

async function insert(
  em: EntityManager,
  mac: AuditMac,
  { head, rows }: { head: Head; rows: readonly Row[] },
): Promise<Head> {
  let { seq, hash } = head;
  const { keyId, chain } = head;
  const chained = rows.map((row) => {
    hash = mac.row({ keyId, chain, seq: ++seq }, hash, row);
    return { ...row, key_id: keyId, chain, seq, hash: `\\x${hash.toString('hex')}` };
  });
  const next = { keyId, chain, seq, hash };
  await em.execute(
    `with head as (
       update ${SCHEMA}.audit_heads set seq = ?, hash = decode(?, 'hex'), mac = decode(?, 'hex')
       where key_id = ? and chain = ?
     )
     insert into ${SCHEMA}.audit_log (${columns})
     select ${columns} from jsonb_populate_recordset(null::${SCHEMA}.audit_log, ?::jsonb)`,
    [seq, hash.toString('hex'), mac.head(next).toString('hex'), keyId, chain, JSON.stringify(chained)],
  );
  return next;
}

/**
 * A head that nobody else holds, or else the first to become free. One that was tampered with stays as it is, for
 * `audit verify` to name.
 */
async function takeHead(em: EntityManager, mac: AuditMac): Promise<Head> {
  if (mac.keyId === '') await refuseUnkeyed(em);
  const forged: number[] = [];
  for (;;) {
    const row = (await lock(em, mac.keyId, { not: forged })) ?? (await waitFor(em, mac, forged));
    const head = headOf(mac.keyId, row);
    if (isSame(mac.head(head), Buffer.from(row.mac, 'hex'))) return head;
    forged.push(head.chain);
  }
}

interface HeadRow {
  readonly chain: number;
  readonly seq: string;
  readonly hash: string;
  readonly mac: string;
}

export const headColumns = `chain, seq::text, encode(hash, 'hex') as hash, encode(mac, 'hex') as mac`;

const headOf = (keyId: string, { chain, seq, hash }: HeadRow): Head => ({
  keyId,
  chain,
  seq: Number(seq),
  hash: Buffer.from(hash, 'hex'),
});

async function lock(
  em: EntityManager,
  keyId: string,
  { not }: { not: readonly number[] },
): Promise<HeadRow | undefined> {
  const [row] = await em.execute<HeadRow[]>(
    `select ${headColumns} from ${SCHEMA}.audit_heads where key_id = ? and chain <> all (?::int[])
     limit 1 for update skip locked`,
    [keyId, `{${not.join()}}`],
  );
  return row;
}

async function waitFor(em: EntityManager, mac: AuditMac, forged: readonly number[]): Promise<HeadRow> {
  const found = await em.execute<{ chain: number }[]>(`select chain from ${SCHEMA}.audit_heads where key_id = ?`, [
    mac.keyId,
  ]);
  if (found.length === 0) await begin(em, mac);
  const chains = found.length === 0 ? [0] : found.map(({ chain }) => chain).filter((each) => !forged.includes(each));
  if (chains.length === 0) throw chainsBroken();
  const [row] = await em.execute<HeadRow[]>(
    `select ${headColumns} from ${SCHEMA}.audit_heads where key_id = ? and chain = ? for update`,
    [mac.keyId, chains[randomInt(chains.length)]],
  );
  if (!row) throw chainsBroken();
  return row;
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
