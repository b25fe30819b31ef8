import Table from 'cli-table3';
import type { Kind } from './shape.ts';
import type { Startup } from './startup.ts';

export interface Row {
  readonly server: string;
  readonly kind: Kind;
  /** Of the server's process, all threads, for one request. */
  readonly cpuMicroseconds: number;
  /** Of all of PostgreSQL's processes; only the gateway has one. */
  readonly postgresMicroseconds: number | undefined;
  readonly requestsPerSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly rssMiB: number;
}

export interface Report {
  readonly conditions: {
    readonly rounds: number;
    readonly forMs: number;
    readonly connections: number;
    readonly chunks: number;
    readonly chunkEveryMs: number;
    readonly isPinned: boolean;
    readonly node: string;
  };
  readonly rows: readonly Row[];
  readonly database: {
    readonly requests: number;
    readonly seconds: number;
    readonly batches: number;
    readonly lookUps: number;
    readonly heartbeats: number;
    readonly renewals: number;
    /** What reached the database beside the ledger's batches, look-ups and heartbeats: nothing should. */
    readonly others: readonly { readonly text: string; readonly calls: number }[];
  };
  readonly startup: readonly Startup[];
}

interface Goal {
  readonly what: string;
  readonly most: number;
  readonly reached: number;
}

const cpu = ({ rows }: Report, server: string, kind: Kind): number =>
  rows.find((row) => row.server === server && row.kind === kind)?.cpuMicroseconds ?? Number.NaN;

function goalsOf(report: Report): Goal[] {
  const startOf = (name: string) => report.startup.find((each) => each.name === name)?.ratio ?? Number.NaN;
  const own = cpu(report, 'gatewayctl', 'plain');
  return [
    { what: 'CPU of a plain request, relay = 1', most: 2.5, reached: own / cpu(report, 'relay', 'plain') },
    { what: 'CPU of a plain request, Portkey = 1', most: 0.2, reached: own / cpu(report, 'portkey', 'plain') },
    { what: "gatewayctl --version, node -e '' = 1", most: 3, reached: startOf('gatewayctl --version') },
    { what: "gatewayctl --help, node -e '' = 1", most: 3, reached: startOf('gatewayctl --help') },
    { what: "gatewayctl key list, node -e '' = 1", most: 3, reached: startOf('gatewayctl key list (remote)') },
  ];
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const colAligns = head.map((_, index) => (index === 0 ? ('left' as const) : ('right' as const)));
  const made = new Table({ head: [...head], colAligns, style: { head: [], border: [], compact: true } });
  made.push(...rows.map((row) => [...row]));
  return `${made.toString()}\n`;
}

const shown = (value: number, digits: number): string => (Number.isNaN(value) ? '' : value.toFixed(digits));

function rowsOf(report: Report): string[][] {
  return report.rows.map((row) => [
    `${row.kind} ${row.server}`,
    shown(row.cpuMicroseconds, 0),
    shown(row.cpuMicroseconds / cpu(report, 'relay', row.kind), 2),
    shown(row.cpuMicroseconds / cpu(report, 'portkey', row.kind), 2),
    row.postgresMicroseconds === undefined ? '' : shown(row.postgresMicroseconds, 0),
    shown(row.requestsPerSecond, 0),
    shown(row.p50Ms, 1),
    shown(row.p99Ms, 1),
    shown(row.rssMiB, 0),
  ]);
}

const headings = ['', 'CPU µs', '÷ relay', '÷ Portkey', 'PostgreSQL µs', 'req/s', 'p50 ms', 'p99 ms', 'RSS MiB'];

export function render(report: Report): string {
  const { conditions, database, startup } = report;
  const { rounds, forMs, connections, chunks, chunkEveryMs, isPinned, node } = conditions;
  const intro =
    `Node ${node}; ${connections} connections, ${rounds} rounds of ${forMs} ms, the medians; ` +
    `streams of ${chunks} chunks, one every ${chunkEveryMs} ms; ${isPinned ? 'one core for the server' : 'not pinned'}\n`;
  const others = database.others.map(
    ({ text, calls }) => `  ${calls} × ${text.replaceAll(/\s+/g, ' ').slice(0, 160)}\n`,
  );
  return [
    intro,
    table(headings, rowsOf(report)),
    `\nDatabase: ${database.requests} requests in ${database.seconds} s were booked in ${database.batches} batches, ` +
      `their key was looked up ${database.lookUps} times, there were ${database.heartbeats} heartbeats, and budgets were renewed ${database.renewals} times; ` +
      `${others.length === 0 ? 'nothing else was asked' : 'and beside them'}\n`,
    ...others,
    '\n',
    table(
      ['Start to end', 'ms', "÷ node -e ''"],
      startup.map(({ name, milliseconds, ratio }) => [name, shown(milliseconds, 0), shown(ratio, 2)]),
    ),
    '\n',
    table(
      ['Goal', 'at most', 'reached', ''],
      goalsOf(report).map(({ what, most, reached }) => [
        what,
        shown(most, 2),
        shown(reached, 2),
        reached <= most ? 'yes' : 'no',
      ]),
    ),
  ].join('');
}
