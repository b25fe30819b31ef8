import { assertSumsAreExact } from '../test/metering/sums.ts';
import { type FaultSite, until } from './fault-site.ts';
import type { Line } from './fault-parts.ts';

const bookedWithinMs = 20_000;

/**
 * What callers were answered against what is booked: each answered call once, nothing twice, and every sum of money equal
 * to its rows.
 *
 * @param answered names of calls that were answered 200
 */
export async function compareBooks({ pool, daemons }: FaultSite, answered: readonly string[]): Promise<Line[]> {
  const missing = async (): Promise<number> => {
    const { rows } = await pool.query<{ count: number }>(
      `select count(*)::int as count from unnest($1::text[]) as id
        where not exists (select from gatewayctl.spend_logs where request_id = id)`,
      [answered],
    );
    return rows[0]?.count ?? Number.NaN;
  };
  // Rows that never come are a finding, and no reason to keep the others from being told.
  await until(async () => (await missing()) === 0, bookedWithinMs, 'All is booked').catch(() => undefined);
  const lost = await missing();
  const { rows } = await pool.query<{ rows: number; calls: number }>(
    'select count(*)::int as rows, count(distinct request_id)::int as calls from gatewayctl.spend_logs',
  );
  const doubled = (rows[0]?.rows ?? Number.NaN) - (rows[0]?.calls ?? Number.NaN);
  const difference = await assertSumsAreExact(pool).then(
    () => '',
    (error: unknown) => String(error).slice(0, 200),
  );
  const setAside = daemons
    .flatMap(({ log }) => log)
    .filter((line) => line.includes('it is set aside in the journal')).length;
  return [
    {
      what: 'answered calls without a spend row',
      measured: `${lost} of ${answered.length}`,
      goal: '0',
      holds: lost === 0,
    },
    { what: 'calls with two rows', measured: `${doubled} of ${rows[0]?.rows} rows`, goal: '0', holds: doubled === 0 },
    {
      what: 'sums of keys, teams, users and days',
      measured: difference || 'as their rows',
      goal: 'as their rows',
      holds: difference === '',
    },
    { what: 'rows the database has refused', measured: String(setAside), goal: '0', holds: setAside === 0 },
  ];
}
