import { parseArgs } from 'node:util';
import { takeCores } from './cores.ts';
import { load } from './load.ts';
import { median, percentile } from './numbers.ts';
import { cpuOf } from './proc.ts';
import { type Reads, readsOf, tracing } from './reads.ts';
import { seed, settle, type Site, sizes, unsettle } from './seed.ts';
import { type Gateway, startGateway, startUpstream } from './servers.ts';

const { values: flags } = parseArgs({
  options: { json: { type: 'boolean', default: false }, keys: { type: 'string', default: '500000' } },
});

const ofManyKeys = '/key/list?size=100&return_full_object=true&team_id={crowd}';
const madeByOne = '/key/list?size=100&return_full_object=true&user_id={maker}&include_created_by_keys=true';

/** What an operator asks for most: the first page of every filtered list, and single objects. `{…}` are of the seed. */
const cases: readonly (readonly [name: string, path: string])[] = [
  ['all keys', '/key/list?size=100&return_full_object=true'],
  ['keys of a team', '/key/list?size=100&return_full_object=true&team_id={team}'],
  ['keys of a user', '/key/list?size=100&return_full_object=true&user_id={user}'],
  ['keys of an organization', '/key/list?size=100&return_full_object=true&organization_id={organization}'],
  ['a key by alias', '/key/list?key_alias={alias}'],
  ['keys by spend', '/key/list?size=100&return_full_object=true&sort_by=spend'],
  ['keys by alias', '/key/list?size=100&sort_by=key_alias&sort_order=asc'],
  ['page 50 of all keys', '/key/list?size=100&page=50'],
  ['deleted keys', '/key/list?status=deleted&size=100'],
  ['one key', '/key/info?key={hash}'],
  ['all teams', '/v2/team/list?page_size=100'],
  ['teams of a user', '/v2/team/list?page_size=100&user_id={user}'],
  ['teams of an organization', '/v2/team/list?page_size=100&organization_id={organization}'],
  ['one team', '/team/info?team_id={team}'],
  ['all users', '/user/list?page_size=100'],
  ['users by role', '/user/list?page_size=100&role=internal_user'],
  ['users by part of an address', '/user/list?page_size=100&user_email={part}'],
  ['users of a team', '/user/list?page_size=100&team={team}'],
  ['users by spend', '/user/list?page_size=100&sort_by=spend&sort_order=desc'],
  ['one user', '/user/info?user_id={user}'],
  ['audit entries', '/audit?size=100'],
  ['keys of a team of many', ofManyKeys],
  ['keys that a user made', madeByOne],
];

/** Asked again when vacuum has not seen the latest changes. */
const unsettledCases: typeof cases = [
  ['all keys, unvacuumed', '/key/list?size=100&return_full_object=true'],
  ['a team of many, unvacuumed', ofManyKeys],
  ['made by a user, unvacuumed', madeByOne],
];

const rounds = 40;
const generateForMs = 5_000;
/**
 * A list counts 100,000 rows at most and then estimates, and looks at some more for its page: what is over it would grow
 * with the site. That no index is used is no fault by itself: a filter that nearly every row meets reads the table from
 * its start, and stops when it has enough.
 */
const goals = { firstPageMs: 50, rowsRead: 110_000, generatesPerSecond: 500 };

interface Sample {
  readonly name: string;
  readonly p50: number;
  readonly p95: number;
  readonly reads: Reads;
}

interface Report {
  readonly keys: number;
  readonly samples: readonly Sample[];
  readonly generate: { readonly perSecond: number; readonly cpuMicroseconds: number };
  readonly update: { readonly p50: number; readonly p95: number };
}

async function ask(gateway: Gateway, path: string, body?: object): Promise<number> {
  const started = performance.now();
  const response = await fetch(`http://127.0.0.1:${gateway.port}${path}`, {
    method: body ? 'POST' : 'GET',
    headers: { authorization: `Bearer ${gateway.masterKey}`, 'content-type': 'application/json' },
    body: body ? JSON.stringify(body) : null,
  });
  const text = await response.text();
  const took = performance.now() - started;
  if (!response.ok) throw new Error(`${path}: ${response.status} ${text.slice(0, 300)}`);
  return took;
}

const filled = (path: string, site: Site): string =>
  path.replaceAll(/\{(\w+)\}/g, (_, name: keyof Site) => encodeURIComponent(site[name]));

async function measure(gateway: Gateway, site: Site, [name, path]: (typeof cases)[number]): Promise<Sample> {
  const url = filled(path, site);
  for (let warm = 0; warm < 5; warm++) await ask(gateway, url);
  const times: number[] = [];
  for (let round = 0; round < rounds; round++) times.push(await ask(gateway, url));
  const sorted = times.toSorted((one, other) => one - other);
  const reads = await readsOf(gateway.pool, gateway.log, () => ask(gateway, url));
  return { name, p50: median(sorted), p95: percentile(sorted, 0.95), reads };
}

async function generate(gateway: Gateway): Promise<Report['generate']> {
  const body = JSON.stringify({ models: ['bench'], max_budget: 10, metadata: { from: 'bench' } });
  const request = Buffer.from(
    `POST /key/generate HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer ${gateway.masterKey}\r\n` +
      `Content-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
  );
  await load({ port: gateway.port, request, connections: 16, forMs: 1_500 });
  const before = cpuOf(gateway.pid);
  const done = await load({ port: gateway.port, request, connections: 16, forMs: generateForMs });
  return {
    perSecond: done.requests / done.seconds,
    cpuMicroseconds: (cpuOf(gateway.pid) - before) / done.requests,
  };
}

async function update(gateway: Gateway, site: Site): Promise<Report['update']> {
  const times: number[] = [];
  for (let round = 0; round < rounds; round++) {
    times.push(await ask(gateway, '/key/update', { key: site.hash, max_budget: 10 + round }));
  }
  const sorted = times.toSorted((one, other) => one - other);
  return { p50: median(sorted), p95: percentile(sorted, 0.95) };
}

async function run(keys: number): Promise<Report> {
  await using opened = new AsyncDisposableStack();
  const upstream = opened.use(await startUpstream());
  const gateway = opened.use(await startGateway(cores, upstream, tracing));
  const site = await seed(gateway.pool, sizes(keys));
  // A cold daemon takes twice as long: without this the first list pays for V8's compilers.
  for (let warm = 0; warm < 10; warm++) for (const [, path] of cases) await ask(gateway, filled(path, site));
  const samples: Sample[] = [];
  for (const each of cases) samples.push(await measure(gateway, site, each));
  await unsettle(gateway.pool);
  for (const each of unsettledCases) samples.push(await measure(gateway, site, each));
  await settle(gateway.pool);
  return { keys, samples, update: await update(gateway, site), generate: await generate(gateway) };
}

function render([small, large]: readonly [Report, Report]): string {
  const lines = [
    `First pages over HTTP, ${rounds} requests each, ${small.keys.toLocaleString('en-US')} and ${large.keys.toLocaleString('en-US')} keys`,
    `${'list'.padEnd(30)}${'p50'.padStart(8)}${'p95'.padStart(8)}${'p50'.padStart(8)}${'p95'.padStart(8)}${'rows'.padStart(9)}  read at the larger size by`,
  ];
  for (const [index, { name, p50, p95, reads }] of large.samples.entries()) {
    const before = small.samples[index];
    const times = [before?.p50 ?? 0, before?.p95 ?? 0, p50, p95].map((each) => each.toFixed(1).padStart(8)).join('');
    lines.push(`${name.padEnd(30)}${times}${String(reads.rows).padStart(9)}  ${reads.by.join(', ')}`);
  }
  for (const {
    keys,
    update: { p50, p95 },
    generate: made,
  } of [small, large]) {
    lines.push(
      `at ${keys.toLocaleString('en-US')} keys: update p50 ${p50.toFixed(1)} ms, p95 ${p95.toFixed(1)} ms; ` +
        `generate ${made.perSecond.toFixed(0)}/s, ${made.cpuMicroseconds.toFixed(0)} µs of CPU each`,
    );
  }
  return `${lines.join('\n')}\n`;
}

const cores = takeCores();
const reports = [await run(1_000), await run(Number(flags.keys))] as const;
process.stdout.write(flags.json ? `${JSON.stringify(reports, undefined, 2)}\n` : render(reports));

const complaints: string[] = [];
for (const { name, p95, reads } of reports[1].samples) {
  if (p95 >= goals.firstPageMs) complaints.push(`${name}: ${p95.toFixed(1)} ms at p95`);
  if (reads.rows > goals.rowsRead) complaints.push(`${name}: looks at ${reads.rows} rows\n${reads.plan}`);
}
const { perSecond } = reports[1].generate;
if (perSecond < goals.generatesPerSecond) complaints.push(`${perSecond.toFixed(0)} new keys a second`);
process.stdout.write(complaints.map((each) => `over the goal: ${each}\n`).join(''));
if (complaints.length > 0) process.exitCode = 1;
