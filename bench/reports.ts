import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { parseArgs } from 'node:util';
import { takeCores } from './cores.ts';
import { seedLedger } from './ledger-seed.ts';
import { median, percentile } from './numbers.ts';
import { cpuOf, residentOf } from './proc.ts';
import { bin, type Gateway, startGateway, startUpstream } from './servers.ts';

const { values: flags } = parseArgs({
  options: {
    json: { type: 'boolean', default: false },
    rows: { type: 'string', default: '10000000' },
    exported: { type: 'string', default: '1000000' },
  },
});

const days = 90;
const rounds = 10;

/** `{since}` is a month ago. Those of upstream models and of customers in teams read the calls themselves. */
const cases: readonly (readonly [name: string, path: string])[] = [
  ['report by team,model', '/spend/report?group_by=team,model&start_date={since}&totals=true'],
  ['report by key', '/spend/report?group_by=key&start_date={since}&totals=true'],
  ['report by key,model,day', '/spend/report?group_by=key,model,day&start_date={since}&limit=1000'],
  ['report by customer', '/spend/report?group_by=customer&start_date={since}'],
  ['report by month, all of it', '/spend/report?group_by=month'],
  ['report of one key', '/spend/report?group_by=day&api_key=ledger-7&start_date={since}'],
  ['/global/spend/report', '/global/spend/report?group_by=api_key&api_key=ledger-7'],
  ['sums of days of a team', '/spend/logs?team_id=t7&start_date={since}&end_date={today}'],
  ['logs, the newest', '/spend/logs?limit=100'],
  ['logs of a key', '/spend/logs?limit=100&api_key=ledger-7'],
  ['logs, 100 behind a cursor', '/spend/logs?limit=100&cursor={since}T00:00:00.000Z,x'],
  ['report by upstream_model, a day', '/spend/report?group_by=upstream_model&start_date={yesterday}&end_date={today}'],
  ['verify', '/spend/verify'],
];

const DAY_MS = 86_400_000;
const dayBefore = (count: number) => new Date(Date.now() - count * DAY_MS).toISOString().slice(0, 10);
const places: Readonly<Record<string, string>> = { since: dayBefore(30), yesterday: dayBefore(1), today: dayBefore(0) };

async function ask({ port, masterKey }: Gateway, path: string, body?: object): Promise<number> {
  const started = performance.now();
  const response = await fetch(`http://127.0.0.1:${port}${path}`, {
    method: body ? 'POST' : 'GET',
    headers: { authorization: `Bearer ${masterKey}`, 'content-type': 'application/json' },
    body: body ? JSON.stringify(body) : null,
  });
  const text = await response.text();
  if (!response.ok) throw new Error(`${path}: ${response.status} ${text.slice(0, 300)}`);
  if (path === '/spend/verify' && !text.includes('"is_valid":true'))
    throw new Error(`The sums differ: ${text.slice(0, 600)}`);
  return performance.now() - started;
}

interface Sample {
  readonly name: string;
  readonly p50: number;
  readonly p95: number;
}

async function measure(name: string, times: number, action: () => Promise<number>): Promise<Sample> {
  const taken: number[] = [];
  for (let round = 0; round < times; round++) taken.push(await action());
  const sorted = taken.toSorted((one, other) => one - other);
  process.stderr.write(`${name}: ${median(sorted).toFixed(1)} ms\n`);
  return { name, p50: median(sorted), p95: percentile(sorted, 0.95) };
}

interface Exported {
  readonly rows: number;
  readonly perSecond: number;
  /** Of the daemon, for each call. */
  readonly cpuMicroseconds: number;
  readonly commandMegabytes: number;
  readonly daemonMegabytes: number;
}

/** The command as a process of its own, its output counted and thrown away. */
async function exported(gateway: Gateway, rows: number): Promise<Exported> {
  const since = new Date(Date.now() - (rows / Number(flags.rows)) * days * DAY_MS).toISOString();
  const args = [bin, 'spend', 'export', '--since', since, '--server', `http://127.0.0.1:${gateway.port}`];
  const started = performance.now();
  const cpuBefore = cpuOf(gateway.pid);
  const child = spawn(process.execPath, args, {
    env: { PATH: process.env['PATH'] ?? '', GATEWAYCTL_KEY: gateway.masterKey },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let lines = 0;
  let command = 0;
  let daemon = 0;
  child.stdout.on('data', (chunk: Buffer) => {
    for (const byte of chunk) if (byte === 10) lines++;
    if (child.pid !== undefined && child.exitCode === null) command = Math.max(command, residentOf(child.pid));
    daemon = Math.max(daemon, residentOf(gateway.pid));
  });
  const [status] = await once(child, 'close');
  if (status !== 0) throw new Error(`spend export ended with ${String(status)}`);
  const seconds = (performance.now() - started) / 1_000;
  return {
    rows: lines - 1,
    perSecond: (lines - 1) / seconds,
    cpuMicroseconds: (cpuOf(gateway.pid) - cpuBefore) / (lines - 1),
    commandMegabytes: command / 1_048_576,
    daemonMegabytes: daemon / 1_048_576,
  };
}

const cores = takeCores();
await using upstream = await startUpstream();
await using gateway = await startGateway(cores, upstream);
const seeding = performance.now();
await seedLedger(gateway.pool, { rows: Number(flags.rows), days });
const seededIn = (performance.now() - seeding) / 1_000;
const samples: Sample[] = [];
for (const [name, path] of cases) {
  const url = path.replaceAll(/\{(\w+)\}/g, (_, place: string) => places[place] ?? '');
  const isLong = name === 'verify';
  if (!isLong) await ask(gateway, url);
  samples.push(await measure(name, isLong ? 1 : rounds, () => ask(gateway, url)));
}
const simulation = { limit: 1, last: '30d', window: '1d', by: ['team'] };
samples.push(await measure('budget simulate', 3, () => ask(gateway, '/budget/simulate', simulation)));
const written = await exported(gateway, Math.min(Number(flags.exported), Number(flags.rows)));

if (flags.json)
  process.stdout.write(`${JSON.stringify({ rows: Number(flags.rows), samples, written }, undefined, 2)}\n`);
else {
  const lines = [
    `${Number(flags.rows).toLocaleString('en-US')} calls in ${days} days (written in ${seededIn.toFixed(0)} s), ${rounds} requests each, in ms`,
    `${'question'.padEnd(34)}${'p50'.padStart(10)}${'p95'.padStart(10)}`,
    ...samples.map(
      ({ name, p50, p95 }) => `${name.padEnd(34)}${p50.toFixed(1).padStart(10)}${p95.toFixed(1).padStart(10)}`,
    ),
    `export: ${written.rows.toLocaleString('en-US')} calls, ${written.perSecond.toFixed(0)} a second, ${written.cpuMicroseconds.toFixed(0)} µs of the daemon’s CPU each, ` +
      `${written.commandMegabytes.toFixed(0)} MB in the command and ${written.daemonMegabytes.toFixed(0)} MB in the daemon at most`,
  ];
  process.stdout.write(`${lines.join('\n')}\n`);
}
