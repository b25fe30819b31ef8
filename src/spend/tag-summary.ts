import type { EntityManager } from '@mikro-orm/postgresql';
import { SCHEMA } from '../db/schema.ts';
import { sqlArray } from '../db/sql-array.ts';
import { escapeLike } from '../users/user.list.ts';
import { type Sums, sumsOfCalls } from './activity.queries.ts';
import { conditionsOf, whereAll } from './spend.queries.ts';

export interface TagFilter {
  /** Days, the last one included. */
  readonly since: string;
  readonly until: string;
  readonly tags?: readonly string[] | undefined;
  /** Part of a tag, in capitals or not. */
  readonly containing?: string | undefined;
}

export interface TagSum {
  readonly tag: string;
  /** Users whose calls carried it; a key without a user has none. */
  readonly users: number;
  readonly sums: Sums;
}

const TAGS_AT_MOST = 1_000;

const conditions = {
  since: 'date >= ?::date',
  until: 'date <= ?::date',
  tags: 'tag = any (?::text[])',
  containing: 'tag ilike ?',
} as const;

/** What was spent under tags in all, those with most calls first. */
export async function tagSums(em: EntityManager, { tags, containing, ...dates }: TagFilter): Promise<TagSum[]> {
  const { parts, values } = conditionsOf(
    {
      ...dates,
      tags: tags && sqlArray(tags),
      containing: containing === undefined ? undefined : `%${escapeLike(containing)}%`,
    },
    conditions,
  );
  const rows = await em.execute<(Sums & { tag: string; users: number })[]>(
    `select tag, count(distinct nullif(user_id, ''))::float8 as users, ${sumsOfCalls} from ${SCHEMA}.daily_tag_spend
     ${whereAll([...parts, `tag <> ''`])} group by tag order by sum(requests) desc, tag limit ?`,
    [...values, TAGS_AT_MOST],
  );
  return rows.map(({ tag, users, ...sums }) => ({ tag, users, sums }));
}
