import { setTimeout as wait } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { takeCores } from './cores.ts';
import { load } from './load.ts';
import { cpuOf, cpuOfTree, residentOf } from './proc.ts';
import { median, percentile } from './numbers.ts';
import { render, type Report, type Row } from './report.ts';
import { type Gateway, type Server, startGateway, startPortkey, startRelay, startUpstream } from './servers.ts';
import { chunkEveryMs, chunks, connections, type Kind, requestBytes, translatedModel } from './shape.ts';
import { measureStartup } from './startup.ts';
import {
  countStatements,
  isBatch,
  isHeartbeat,
  isLedgers,
  isLookUp,
  isRenewal,
  mostHeartbeats,
  mostLookUps,
  mostRenewals,
  type Statement,
  statementsSince,
} from './statements.ts';

const { values: flags } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
    only: { type: 'string' },
  },
});

const plan = flags.quick
  ? { rounds: 2, forMs: 700, warmMs: { plain: 1_200, stream: 800 }, startups: 5 }
  : { rounds: 5, forMs: 2_000, warmMs: { plain: 10_000, stream: 4_000 }, startups: 15 };

/**
 * A server is warm after so many requests; before that one measures V8's compilers (twice the CPU a request). On a slow
 * machine `warmMs` ends it earlier.
 */
const warmRequests: Readonly<Record<Kind, number>> = { plain: 20_000, stream: 600 };

/** The ledger books what was settled within 100 ms; what a load causes is counted until it is done. */
const settleMs = 400;

const kinds: readonly Kind[] = ['plain', 'stream'];

interface Sample {
  readonly cpu: number;
  readonly postgres: number;
  readonly rate: number;
  readonly p50: number;
  readonly p99: number;
}

interface Bench {
  readonly servers: readonly Server[];
  readonly gateway: Gateway;
  readonly requests: Readonly<Record<Kind, Buffer>>;
  /** For a model whose upstream speaks another protocol. */
  readonly translated: Readonly<Record<Kind, Buffer>>;
}

/** The gateway once more, under a name of its own for what is translated. */
const translatedName = 'translated';

const isGateway = (server: Server): server is Gateway => 'postmaster' in server;

const requestFor = ({ requests, translated }: Bench, { name }: Server, kind: Kind): Buffer =>
  (name === translatedName ? translated : requests)[kind];

async function sample(bench: Bench, server: Server, kind: Kind, forMs: number): Promise<Sample> {
  const before = { own: cpuOf(server.pid), postgres: isGateway(server) ? cpuOfTree(server.postmaster) : 0 };
  const loaded = await load({ port: server.port, request: requestFor(bench, server, kind), connections, forMs });
  await wait(settleMs);
  const own = cpuOf(server.pid) - before.own;
  const postgres = isGateway(server) ? cpuOfTree(server.postmaster) - before.postgres : 0;
  return {
    cpu: own / loaded.requests,
    postgres: postgres / loaded.requests,
    rate: loaded.requests / loaded.seconds,
    p50: percentile(loaded.latencies, 0.5),
    p99: percentile(loaded.latencies, 0.99),
  };
}

function summarize(server: Server, kind: Kind, samples: readonly Sample[]): Row {
  const of = (name: keyof Sample): number => median(samples.map((each) => each[name]));
  return {
    server: server.name,
    kind,
    cpuMicroseconds: of('cpu'),
    postgresMicroseconds: isGateway(server) ? of('postgres') : undefined,
    requestsPerSecond: of('rate'),
    p50Ms: of('p50'),
    p99Ms: of('p99'),
    rssMiB: residentOf(server.pid) / 1_048_576,
  };
}

/** Each server answers as it should, before it is measured how fast. */
async function check(bench: Bench): Promise<void> {
  for (const server of bench.servers) {
    for (const kind of kinds) {
      const text = requestFor(bench, server, kind).toString();
      const [head = '', body = ''] = text.split('\r\n\r\n');
      const headers = head
        .split('\r\n')
        .slice(1)
        .map((line): [string, string] => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 2)])
        .filter(([name]) => name !== 'host' && name !== 'content-length');
      const response = await fetch(`http://127.0.0.1:${server.port}/v1/chat/completions`, {
        method: 'POST',
        headers,
        body,
      });
      const answer = await response.text();
      const pieces = answer.split('"content":"').length - 1;
      if (response.status !== 200 || pieces !== (kind === 'plain' ? 1 : chunks)) {
        throw new Error(`${server.name} answers a ${kind} request with ${response.status} and ${pieces} pieces`);
      }
    }
  }
}

/** What the database is asked while the gateway answers requests with a key it knows. */
async function watchDatabase(bench: Bench): Promise<Report['database']> {
  const { gateway, requests } = bench;
  await countStatements(gateway.pool);
  const { requests: count } = await load({
    port: gateway.port,
    request: requests.plain,
    connections,
    forMs: plan.forMs,
  });
  await wait(settleMs);
  const statements = await statementsSince(gateway.pool);
  const total = (look: (statement: Statement) => boolean): number =>
    statements.filter(look).reduce((sum, { calls }) => sum + calls, 0);
  return {
    requests: count,
    seconds: plan.forMs / 1_000,
    batches: total(isBatch),
    lookUps: total(isLookUp),
    heartbeats: total(isHeartbeat),
    renewals: total(isRenewal),
    others: statements
      .filter((each) => ![isLedgers, isLookUp, isHeartbeat, isRenewal].some((look) => look(each)))
      .map(({ text, calls }) => ({ text, calls })),
  };
}

async function warm(bench: Bench, server: Server, kind: Kind): Promise<void> {
  const until = performance.now() + plan.warmMs[kind];
  for (let sent = 0; sent < warmRequests[kind] && performance.now() < until;) {
    sent += (await load({ port: server.port, request: requestFor(bench, server, kind), connections, forMs: 400 }))
      .requests;
  }
}

async function measure(bench: Bench): Promise<Row[]> {
  const samples = new Map<string, Sample[]>();
  for (const kind of kinds) {
    for (const server of bench.servers) await warm(bench, server, kind);
  }
  for (let round = 0; round < plan.rounds; round++) {
    for (const kind of kinds) {
      for (const server of bench.servers) {
        const name = `${kind} ${server.name}`;
        const found = samples.get(name) ?? [];
        samples.set(name, [...found, await sample(bench, server, kind, plan.forMs)]);
      }
    }
  }
  return kinds.flatMap((kind) =>
    bench.servers.map((server) => summarize(server, kind, samples.get(`${kind} ${server.name}`) ?? [])),
  );
}

async function run(): Promise<Report> {
  const cores = takeCores();
  await using opened = new AsyncDisposableStack();
  const upstream = opened.use(await startUpstream());
  const gateway = opened.use(await startGateway(cores, upstream));
  const relay = opened.use(await startRelay(cores, upstream));
  const portkey = opened.use(await startPortkey(cores));
  const credentials = { key: gateway.key, upstreamPort: upstream.port };
  const requestsOf = (asked?: string) => {
    const given = { ...credentials, ...(asked !== undefined && { asked }) };
    return { plain: requestBytes('plain', given), stream: requestBytes('stream', given) };
  };
  const bench: Bench = {
    servers: [relay, gateway, { ...gateway, name: translatedName }, portkey].filter(
      ({ name }) => flags.only === undefined || flags.only.includes(name),
    ),
    gateway,
    requests: requestsOf(),
    translated: requestsOf(translatedModel),
  };
  await check(bench);
  const rows = await measure(bench);
  const database = await watchDatabase(bench);
  return {
    conditions: {
      rounds: plan.rounds,
      forMs: plan.forMs,
      connections,
      chunks,
      chunkEveryMs,
      isPinned: cores.isPinned,
      node: process.version,
    },
    rows,
    database,
    startup: measureStartup(gateway, plan.startups),
  };
}

const report = await run();
process.stdout.write(flags.json ? `${JSON.stringify(report, undefined, 2)}\n` : render(report));
const { others, lookUps, heartbeats, renewals, seconds } = report.database;
const isMore =
  lookUps > mostLookUps(seconds) || heartbeats > mostHeartbeats(seconds) || renewals > mostRenewals(seconds);
if (others.length > 0 || isMore) process.exitCode = 1;
