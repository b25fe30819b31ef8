import type { EntityManager } from '@mikro-orm/postgresql';
import { SCHEMA } from '../db/schema.ts';
import { CHAINS } from './audit.append.ts';
import { type AuditMac, type Chain, type Head, isSame, type Row } from './audit.mac.ts';
import type { Problem } from './verdict.wire.ts';

/** The first thing that is wrong with a chain. */
export interface Flaw extends Chain {
  readonly problem: Problem;
  /** Which row, counted from 1; null when it is none of the rows. */
  readonly seq: number | null;
  /** Which entry, when it is there. */
  readonly id: string | null;
}

export interface Verdict {
  /** Rows that were checked and are as they were written. */
  readonly entries: number;
  readonly chains: number;
  /** Rows among those that were chained without a key. */
  readonly unkeyed: number;
  /** Rows from before there were chains. */
  readonly beforeChains: number;
  readonly flaws: readonly Flaw[];
}

/** Rows in memory at once. One may hold a megabyte, so they are few. */
const rowsAtOnce = 200;

interface Found extends Chain {
  readonly last: number;
  readonly head: (Head & { readonly mac: Buffer }) | undefined;
}

/** Walks every chain from its first row to its end, in bounded memory, and stops in each at the first flaw. */
export async function verify(em: EntityManager, mac: AuditMac): Promise<Verdict> {
  const found = await chainsOf(em);
  const flaws: Flaw[] = [...unknownKeys(found, mac), ...missingChains(found, mac)];
  let entries = 0;
  let unkeyed = 0;
  let firstKeyed: string | undefined;
  // Those with a key first: the others are held against the moment of their first row.
  const known = found.filter(({ keyId }) => mac.knows(keyId));
  for (const chain of known.toSorted((one, other) => Number(one.keyId === '') - Number(other.keyId === ''))) {
    const walked = await walk(em, mac, { chain, before: chain.keyId === '' ? firstKeyed : undefined });
    entries += walked.entries;
    if (chain.keyId === '') unkeyed += walked.entries;
    else if (walked.first !== undefined && !(firstKeyed !== undefined && firstKeyed < walked.first)) {
      firstKeyed = walked.first;
    }
    if (walked.flaw) flaws.push(walked.flaw);
  }
  return { entries, unkeyed, chains: found.length, beforeChains: await countBefore(em), flaws };
}

interface FoundRow {
  readonly key_id: string;
  readonly chain: number;
  readonly last: string;
  readonly head_seq: string | null;
  readonly hash: string | null;
  readonly mac: string | null;
}

/**
 * Every chain that has a head or a row, all of one moment: what is added from then on is not looked at. The index is
 * asked for one row of each chain, so that it takes no longer on a long log.
 */
async function chainsOf(em: EntityManager): Promise<Found[]> {
  const log = `${SCHEMA}.audit_log`;
  const rows = await em.execute<FoundRow[]>(
    `with recursive pairs as (
       (select key_id, chain from ${log} where key_id is not null and chain is not null order by key_id, chain limit 1)
       union all
       select next.* from pairs cross join lateral (
         select key_id, chain from ${log} where (key_id, chain) > (pairs.key_id, pairs.chain) and chain is not null
         order by key_id, chain limit 1
       ) next
     )
     select key_id, chain, heads.seq::text as head_seq, encode(hash, 'hex') as hash, encode(mac, 'hex') as mac,
            coalesce((select max(seq) from ${log} l where l.key_id = c.key_id and l.chain = c.chain), 0)::text as last
     from (select key_id, chain from pairs union select key_id, chain from ${SCHEMA}.audit_heads) c
     left join ${SCHEMA}.audit_heads heads using (key_id, chain)
     order by key_id, chain`,
  );
  return rows.map(({ key_id: keyId, chain, last, head_seq: seq, hash, mac }) => ({
    keyId,
    chain,
    last: Number(last),
    head:
      seq === null || hash === null || mac === null
        ? undefined
        : { keyId, chain, seq: Number(seq), hash: Buffer.from(hash, 'hex'), mac: Buffer.from(mac, 'hex') },
  }));
}

/** One flaw for each key: its chains cannot be told apart from forged ones. */
function unknownKeys(found: readonly Found[], mac: AuditMac): Flaw[] {
  const unknown = found.filter(({ keyId }) => !mac.knows(keyId));
  return unknown
    .filter(({ keyId }, index) => unknown.findIndex((other) => other.keyId === keyId) === index)
    .map(({ keyId, chain }) => ({ keyId, chain, problem: 'key_unknown', seq: null, id: null }));
}

/** All chains of a key begin together, so one of which nothing is left was taken away whole. */
function missingChains(found: readonly Found[], mac: AuditMac): Flaw[] {
  const keyIds = new Set(found.map(({ keyId }) => keyId).filter((keyId) => mac.knows(keyId)));
  return [...keyIds].flatMap((keyId) =>
    Array.from({ length: CHAINS }, (_, chain) => chain)
      .filter((chain) => !found.some((each) => each.keyId === keyId && each.chain === chain))
      .map((chain): Flaw => ({ keyId, chain, problem: 'head_missing', seq: null, id: null })),
  );
}

interface Walk {
  readonly chain: Found;
  /** Rows from then on are too late to be without a key. */
  readonly before: string | undefined;
}

interface Walked {
  /** Rows that are good. */
  readonly entries: number;
  /** When the first row was written. */
  readonly first: string | undefined;
  readonly flaw?: Flaw;
}

async function walk(em: EntityManager, mac: AuditMac, { chain: found, before }: Walk): Promise<Walked> {
  const { keyId, chain, last, head } = found;
  let seq = 0;
  let previous = mac.genesis(found);
  let first: string | undefined;
  const flawed = (problem: Problem, id: string | null = null, at: number | null = seq + 1): Walked => ({
    entries: seq,
    first,
    flaw: { keyId, chain, problem, seq: at, id },
  });
  while (seq < last) {
    const rows = await rowsOf(em, found, seq);
    for (const [index, { row, hash, ...place }] of rows.entries()) {
      if (place.seq !== seq + 1) return flawed('missing');
      if (!isSame(mac.row({ keyId, chain, seq: seq + 1 }, previous, row), hash)) {
        const belongs = (other: ChainedRow) =>
          isSame(mac.row({ keyId, chain, seq: seq + 1 }, previous, other.row), other.hash);
        return flawed(rows.slice(index + 1).some(belongs) ? 'moved' : 'altered', row.id);
      }
      if (head && seq + 1 > head.seq) return flawed('unexpected', row.id);
      if (before !== undefined && row.at > before) return flawed('key_missing', row.id);
      first ??= row.at;
      previous = hash;
      seq++;
    }
    // They were there when the chains were listed.
    if (rows.length === 0) return flawed('missing');
  }
  if (!head) return flawed('head_missing', null, null);
  if (!isSame(mac.head(head), head.mac)) return flawed('head_altered', null, null);
  if (head.seq > last) return flawed('cut_off');
  if (!isSame(head.hash, previous)) return flawed('head_altered', null, null);
  return { entries: seq, first };
}

interface ChainedRow {
  readonly seq: number;
  readonly hash: Buffer;
  readonly row: Row;
}

interface LogRow extends Omit<Row, 'before' | 'after'> {
  readonly before: string | null;
  readonly after: string | null;
  readonly seq: string;
  readonly hash: string | null;
}

async function rowsOf(em: EntityManager, { keyId, chain, last }: Found, after: number): Promise<ChainedRow[]> {
  const rows = await em.execute<LogRow[]>(
    `select id, to_char(at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as at, actor, via, changed_by, action,
            object_type, object_id, before::text, after::text, request_id, client, organization_ids, seq::text, encode(hash, 'hex') as hash
     from ${SCHEMA}.audit_log l where key_id = ? and chain = ? and l.seq > ? and l.seq <= ? order by l.seq limit ${rowsAtOnce}`,
    [keyId, chain, after, last],
  );
  return rows.map(({ seq, hash, before, after: afterwards, ...row }) => ({
    seq: Number(seq),
    hash: Buffer.from(hash ?? '', 'hex'),
    row: { ...row, before: parsed(before), after: parsed(afterwards) },
  }));
}

const parsed = (text: string | null): unknown => (text === null ? null : JSON.parse(text));

async function countBefore(em: EntityManager): Promise<number> {
  const [row] = await em.execute<{ count: string }[]>(
    `select count(*)::text as count from ${SCHEMA}.audit_log where key_id is null`,
  );
  return Number(row?.count ?? 0);
}
