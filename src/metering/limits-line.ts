import type { WithoutStore } from './rate-leases.ts';

/** What becomes of limits while nothing answers that daemons count in. */
export const meanwhile = {
  refuse: 'calls that a limit applies to are refused',
  per_instance: 'each daemon admits as much as a limit allows',
} as const satisfies Record<WithoutStore, string>;

/** For the log, at the start of a daemon: nobody shall find out in an outage. */
export function limitsLine({
  redisUrl,
  withoutSharedStore,
}: {
  readonly redisUrl?: string | undefined;
  readonly withoutSharedStore: WithoutStore;
}): string {
  const where = redisUrl === undefined ? 'PostgreSQL' : 'Redis, or else in PostgreSQL';
  const outage = redisUrl === undefined ? 'While it does not answer' : 'While neither answers';
  return `Limits are counted with all daemons of the database in ${where}. ${outage}, ${meanwhile[withoutSharedStore]} (limits.without_shared_store: ${withoutSharedStore})`;
}
