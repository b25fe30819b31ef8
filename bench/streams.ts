import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { setTimeout as wait } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { Worker } from 'node:worker_threads';
import { takeCores } from './cores.ts';
import { percentile } from './numbers.ts';
import { cpuOf, residentOf } from './proc.ts';
import { type Gateway, startAnother, startGateway, startUpstream } from './servers.ts';
import { requestBytes } from './shape.ts';

/**
 * What streams cost that are open and say nothing: each has a connection of its client and one to its upstream. Meanwhile
 * plain calls are made, which must not be slower for it.
 */

const { values: flags } = parseArgs({
  options: { streams: { type: 'string', default: '10000' }, daemons: { type: 'string', default: '1' } },
});

/** Descriptors that a process may have, and that the daemon needs beside those of streams. */
const descriptors = Number(execFileSync('sh', ['-c', 'ulimit -n'], { encoding: 'utf8' }));
const otherDescriptors = 340;
const wanted = Number(flags.streams);
const daemons = Number(flags.daemons);
const count = Math.min(wanted, daemons * Math.floor((descriptors - otherDescriptors) / 2));

const openingAtOnce = 64;
const plainCalls = 500;
const idleMs = 30_000;

/** Where calls can be made, and with what. */
type Door = Pick<Gateway, 'port' | 'key'>;

interface Stream {
  readonly socket: Socket;
  comments: number;
}

async function open({ port, key }: Door, upstreamPort: number): Promise<Stream> {
  const socket = connect(port, '127.0.0.1');
  const stream: Stream = { socket, comments: 0 };
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  socket.on('error', reject).on('close', () => reject(new Error('A stream was closed')));
  socket.on('data', (bytes) => {
    const text = bytes.toString('latin1');
    if (text.startsWith('HTTP/1.1') && !text.startsWith('HTTP/1.1 200')) reject(new Error(text));
    if (text.includes('data: ')) resolve();
    if (text.includes(': keep-alive')) stream.comments++;
  });
  socket.write(requestBytes('stream', { key, upstreamPort, user: 'idle' }));
  await promise;
  return stream;
}

/** The first daemon holds all of the budget and may be too busy to give some of it to the second within a tenth of a second. */
async function openFirst(door: Door, upstreamPort: number): Promise<Stream> {
  for (;;) {
    try {
      return await open(door, upstreamPort);
    } catch (error) {
      if (!String(error).includes('budget_exceeded')) throw error;
    }
  }
}

async function openAll(doors: readonly Door[], upstreamPort: number): Promise<Stream[]> {
  const streams: Stream[] = [];
  let left = count;
  const opener = async () => {
    while (left-- > 0) streams.push(await open(doors[left % doors.length] ?? gateway, upstreamPort));
  };
  await Promise.all(Array.from({ length: openingAtOnce }, opener));
  return streams;
}

/** Milliseconds of each, one after the other on one connection; sorted. */
async function timesOfPlain({ port, key }: Door, upstreamPort: number): Promise<number[]> {
  const socket = connect(port, '127.0.0.1');
  const request = requestBytes('plain', { key, upstreamPort });
  const times: number[] = [];
  for (let call = 0; call < plainCalls; call++) {
    const start = performance.now();
    socket.write(request);
    const [bytes]: Buffer[] = await once(socket, 'data');
    if (!bytes?.toString('latin1', 0, 15).includes(' 200')) throw new Error(String(bytes));
    times.push(performance.now() - start);
    await wait(2);
  }
  socket.destroy();
  return times.toSorted((one, other) => one - other);
}

const descriptorsOf = (pid: number): number => readdirSync(`/proc/${pid}/fd`).length;
const mib = (bytes: number): string => `${(bytes / 1_024 ** 2).toFixed(0)} MiB`;
const shown = (times: readonly number[]): string =>
  `p50 ${percentile(times, 0.5).toFixed(2)} ms, p99 ${percentile(times, 0.99).toFixed(2)} ms`;
const say = (what: string, figure: string): void => void process.stdout.write(`${what.padEnd(44)} ${figure}\n`);

await using upstream = await startUpstream();
const env = {
  GATEWAYCTL_MAX_CALLS: String(count + 40),
  GATEWAYCTL_MAX_CONNECTIONS: String(count + 40),
  // Connections of one address are bounded, those of a proxy are not.
  GATEWAYCTL_TRUSTED_PROXIES: '127.0.0.1',
  GATEWAYCTL_UPSTREAM_IDLE_TIMEOUT: '600s',
};
const cores = takeCores();
await using gateway = await startGateway(cores, upstream, {}, env);
await using others = new AsyncDisposableStack();
const doors: Door[] = [gateway];
const pids = [gateway.pid];
for (let index = 1; index < daemons; index++) {
  const server = others.use(await startAnother(cores, gateway, env));
  doors.push({ port: server.port, key: gateway.key });
  pids.push(server.pid);
}
const sumOf = (figureOf: (pid: number) => number): number => pids.map(figureOf).reduce((sum, each) => sum + each, 0);
if (count < wanted) say(`Of ${wanted} streams the descriptors allow`, String(count));
await timesOfPlain(gateway, upstream.port);
// The first stream that is cut has the vocabulary loaded that its words are counted with: 0.2 s of a core, once.
for (const door of doors) (await openFirst(door, upstream.port)).socket.removeAllListeners('close').destroy();
const before = await timesOfPlain(gateway, upstream.port);
const [memory, files] = [sumOf(residentOf), sumOf(descriptorsOf)];

const began = performance.now();
const streams = await openAll(doors, upstream.port);
say('Streams open', `${streams.length}, in ${((performance.now() - began) / 1_000).toFixed(1)} s`);
const cpu = sumOf(cpuOf);
await wait(idleMs);
const used = (sumOf(cpuOf) - cpu) / (idleMs * 1_000);
say('Streams that were sent a comment in 30 s', String(streams.filter(({ comments }) => comments > 0).length));
say('Core used while they are idle', `${(used * 100).toFixed(1)} %`);
const grown = sumOf(residentOf) - memory;
say('Resident memory', `${mib(memory)} before, ${mib(memory + grown)} with them`);
say('  of which a stream has', `${(grown / streams.length / 1_024).toFixed(1)} KiB`);
say('Descriptors', `${files} before, ${sumOf(descriptorsOf)} with them`);
say('A plain call before', shown(before));
say('A plain call beside them', shown(await timesOfPlain(gateway, upstream.port)));

const booked = async (): Promise<number> => {
  const { rows } = await gateway.pool.query<{ count: number }>(
    `select count(*)::int as count from gatewayctl.spend_logs where status = 'interrupted'`,
  );
  return rows[0]?.count ?? 0;
};

const request = requestBytes('plain', { key: gateway.key, upstreamPort: upstream.port });
const beside = new Worker(new URL('beside.ts', import.meta.url), { workerData: { port: gateway.port, request } });
await once(beside, 'online');
await wait(500);
const left = performance.now();
const sinceLeft = (): string => `${((performance.now() - left) / 1_000).toFixed(1)} s`;
for (const { socket } of streams) socket.removeAllListeners('close').destroy();
while (sumOf(descriptorsOf) > files + 50) await wait(20);
say('All clients gone, all upstreams hung up on in', sinceLeft());
const deadline = performance.now() + 180_000;
while ((await booked()) < streams.length + doors.length && performance.now() < deadline) await wait(100);
say('All of them booked after', sinceLeft());
// oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread has no origin
beside.postMessage('stop');
const [times]: number[][] = await once(beside, 'message');
const sorted = (times ?? []).toSorted((one, other) => one - other);
say('Plain calls beside that', `${sorted.length}, ${shown(sorted)}`);
say('  the longest of them', `${sorted.at(-1)?.toFixed(0)} ms`);
say('Rows of the spend log', String((await booked()) - doors.length));
