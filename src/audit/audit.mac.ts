import { createHash, createHmac, createSecretKey, timingSafeEqual } from 'node:crypto';

/** One of the chains of one key. Without a key the id is empty. */
export interface Chain {
  readonly keyId: string;
  readonly chain: number;
}

/** Where a row stands: counted from 1 in its chain. */
export interface Place extends Chain {
  readonly seq: number;
}

/** The last row of a chain. */
export interface Head extends Place {
  readonly hash: Buffer;
}

/** An entry as it is chained: every column that says something, spelled as PostgreSQL gives it back. */
export interface Row {
  readonly id: string;
  /** ISO 8601 in UTC, with microseconds. */
  readonly at: string;
  readonly actor: string;
  readonly via: string;
  readonly changed_by: string | null;
  readonly action: string;
  readonly object_type: string;
  readonly object_id: string;
  readonly before: unknown;
  readonly after: unknown;
  readonly request_id: string | null;
  readonly client: string | null;
  /** Sorted; null where there are none, as in every row of before there were any. */
  readonly organization_ids: readonly string[] | null;
}

export interface AuditMac {
  /** Which key new rows are chained with; empty without one. */
  readonly keyId: string;
  /** Whether the rows of a key can be checked. Those without a key always can, and prove little. */
  knows(keyId: string): boolean;
  /** What the first row of a chain follows. */
  genesis(chain: Chain): Buffer;
  row(place: Place, previous: Buffer, row: Row): Buffer;
  head(head: Head): Buffer;
}

export interface MacKey {
  readonly id: string;
  readonly key: Buffer;
}

/**
 * The codes that make rows a chain: HMAC-SHA256, or, where there is no key, plain SHA-256, which whoever may write to the
 * database can compute as well.
 *
 * @param keys the first is for new rows
 */
export function createAuditMac(keys: readonly MacKey[]): AuditMac {
  const ring = new Map(keys.map(({ id, key }) => [id, createSecretKey(key)]));

  /** JSON, so that no two lists of values are the same text. */
  const code = (keyId: string, kind: 'chain' | 'row' | 'head', values: readonly unknown[]): Buffer => {
    const key = ring.get(keyId);
    const text = JSON.stringify(['gatewayctl audit', 1, kind, keyId, ...values]);
    return (key ? createHmac('sha256', key) : createHash('sha256')).update(text).digest();
  };
  return {
    keyId: keys[0]?.id ?? '',
    knows: (keyId) => keyId === '' || ring.has(keyId),
    genesis: ({ keyId, chain }) => code(keyId, 'chain', [chain]),
    row: ({ keyId, chain, seq }, previous, row) =>
      code(keyId, 'row', [chain, seq, previous.toString('hex'), ...valuesOf(row)]),
    head: ({ keyId, chain, seq, hash }) => code(keyId, 'head', [chain, seq, hash.toString('hex')]),
  };
}

export const isSame = (one: Buffer, other: Buffer): boolean =>
  one.length === other.length && timingSafeEqual(one, other);

const valuesOf = (row: Row): unknown[] => [
  row.id,
  row.at,
  row.actor,
  row.via,
  row.changed_by,
  row.action,
  row.object_type,
  row.object_id,
  canonical(row.before),
  canonical(row.after),
  row.request_id,
  row.client,
  // A list that is longer by one: rows of before it keep their codes.
  ...(row.organization_ids ? [canonical(row.organization_ids)] : []),
];

/**
 * jsonb keeps neither the order of members nor the spelling of numbers: what is read back must be the same text. Lists of
 * names and values, because in an object a member whose name is a number would come first, and `__proto__` would be none.
 */
function canonical(value: unknown): string {
  return JSON.stringify(value ?? null, (_, each: unknown) => {
    if (typeof each !== 'object' || each === null) return each;
    if (Array.isArray(each)) return ['list', ...(each as unknown[])];
    const members = Object.entries(each).filter(([, member]) => member !== undefined);
    return ['object', ...members.toSorted(([one], [other]) => (one < other ? -1 : 1)).flat()];
  });
}
