import { readFile } from 'node:fs/promises';
import { setTimeout as wait } from 'node:timers/promises';
import type { Pool } from 'pg';

/** The tables that grow with a site. */
export const large = [
  'keys',
  'teams',
  'users',
  'team_members',
  'organization_members',
  'deleted_keys',
  'audit_log',
  'customers',
  'tags',
  'budgets',
];

/** As auto_explain writes it: what PostgreSQL did, not what it would do. */
interface Node {
  readonly 'Node Type': string;
  readonly 'Relation Name'?: string;
  readonly 'Index Name'?: string;
  readonly 'Actual Rows': number;
  readonly 'Actual Loops': number;
  readonly 'Rows Removed by Filter'?: number;
  readonly 'Rows Removed by Index Recheck'?: number;
  readonly Plans?: readonly Node[];
}

interface Executed {
  readonly 'Query Text': string;
  readonly Plan: Node;
}

/** What the statements of one request did with the large tables. */
export interface Reads {
  /** Rows and entries of indexes that were looked at. */
  readonly rows: number;
  /** What each table was read by: an index, or its rows one after the other. */
  readonly by: readonly string[];
  /** The plan of the statement that looked at most rows, a node a line. */
  readonly plan: string;
}

/** For the server that {@link readsOf} is asked about. */
export const tracing = { shared_preload_libraries: 'auto_explain' } as const;

const traced = {
  'auto_explain.log_min_duration': '0',
  'auto_explain.log_analyze': 'on',
  'auto_explain.log_timing': 'off',
  'auto_explain.log_format': 'json',
} as const;

/**
 * Has PostgreSQL write the plans of everything that runs meanwhile into its log, with the numbers of rows. Its own
 * statistics say less: they come up to ten seconds late, and so under the name of the next list.
 */
export async function readsOf(pool: Pool, log: string, action: () => Promise<unknown>): Promise<Reads> {
  for (const [name, value] of Object.entries(traced)) await pool.query(`alter system set ${name} = '${value}'`);
  await reload(pool, '0');
  const { length: start } = await readFile(log);
  await action();
  for (const name of Object.keys(traced)) await pool.query(`alter system reset ${name}`);
  await reload(pool, '-1');
  const executed = executedIn((await readFile(log)).subarray(start).toString());
  // What a statement would do was asked for, and not done.
  return summary(executed.filter(({ 'Query Text': text }) => !/^explain\b/i.test(text)));
}

/** A backend reads its settings anew between two statements; the postmaster has told them all when ours knows. */
async function reload(pool: Pool, value: string): Promise<void> {
  await pool.query('select pg_reload_conf()');
  const deadline = performance.now() + 5_000;
  for (;;) {
    const { rows } = await pool.query<{ set: string }>(
      `select current_setting('auto_explain.log_min_duration') as set`,
    );
    if (rows[0]?.set.startsWith(value)) break;
    if (performance.now() > deadline) throw new Error('PostgreSQL does not take its settings');
    await wait(10);
  }
  await wait(200);
}

/** Entries of the log: the lines after the first of each begin with a tab. */
function executedIn(log: string): Executed[] {
  return [...log.matchAll(/ plan:\n((?:\t.*\n)+)/g)].map(
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- PostgreSQL's format
    ([, json = '']) => JSON.parse(json.replaceAll(/^\t/gm, '')) as Executed,
  );
}

function* nodesOf(node: Node): Generator<Node> {
  yield node;
  for (const each of node.Plans ?? []) yield* nodesOf(each);
}

/** Entries of an index count as rows of its table: a bitmap reads them all, however few rows follow. */
function lookedAt(node: Node): number {
  if (!isLarge(node)) return 0;
  const removed = (node['Rows Removed by Filter'] ?? 0) + (node['Rows Removed by Index Recheck'] ?? 0);
  return Math.round((node['Actual Rows'] + removed) * node['Actual Loops']);
}

const isLarge = (node: Node): boolean =>
  node['Relation Name'] === undefined
    ? node['Node Type'] === 'Bitmap Index Scan'
    : large.includes(node['Relation Name']) && node['Node Type'] !== 'ModifyTable';

const rowsOf = ({ Plan: plan }: Executed): number => [...nodesOf(plan)].reduce((sum, node) => sum + lookedAt(node), 0);

function summary(executed: readonly Executed[]): Reads {
  const nodes = executed.flatMap(({ Plan: plan }) => [...nodesOf(plan)]).filter((node) => lookedAt(node) > 0);
  const by = nodes.map((node) => node['Index Name'] ?? `${node['Relation Name'] ?? ''} from its start`);
  const most = executed.toSorted((one, other) => rowsOf(other) - rowsOf(one))[0];
  return {
    rows: executed.reduce((sum, each) => sum + rowsOf(each), 0),
    by: [...new Set(by)],
    plan: most === undefined ? '' : [most['Query Text'].trim(), ...drawn(most.Plan)].join('\n'),
  };
}

function drawn(node: Node, depth = 1): string[] {
  const { 'Node Type': type, 'Index Name': index, 'Relation Name': table } = node;
  const through = [table && `on ${table}`, index && `by ${index}`].filter(Boolean).join(' ');
  const removed = node['Rows Removed by Filter'] ? `, ${node['Rows Removed by Filter']} removed` : '';
  const line = `${'  '.repeat(depth)}${type} ${through} (${node['Actual Rows']} rows, ${node['Actual Loops']} times${removed})`;
  return [line, ...(node.Plans ?? []).flatMap((each) => drawn(each, depth + 1))];
}
