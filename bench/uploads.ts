import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { pipeline } from 'node:stream/promises';
import { parseArgs } from 'node:util';
import { takeCores } from './cores.ts';
import { startGateway } from './servers.ts';
import { model } from './shape.ts';

/** What uploads cost in memory that come at the same time: files to keep, and recordings. */

const { values: flags } = parseArgs({
  options: {
    uploads: { type: 'string', default: '20' },
    mib: { type: 'string', default: '31' },
    kind: { type: 'string', default: 'files' },
  },
});
const uploads = Number(flags.uploads);
const size = Number(flags.mib) * 1_024 ** 2;
const isFile = flags.kind === 'files';

const answer = JSON.stringify(
  isFile
    ? { id: 'file-1', object: 'file', bytes: size, purpose: 'user_data', filename: 'a.bin' }
    : { text: 'hello', usage: { type: 'duration', seconds: 60 } },
);
let received = 0;
const server = createServer((incoming, outgoing) => {
  incoming.on('data', (chunk: Buffer) => (received += chunk.length));
  incoming.on('end', () => outgoing.setHeader('content-type', 'application/json').end(answer));
}).listen(0, '127.0.0.1');
await once(server, 'listening');
// oxlint-disable-next-line typescript/no-unsafe-type-assertion -- a server that listens on a port has an AddressInfo
const { port } = server.address() as AddressInfo;

await using gateway = await startGateway(
  takeCores(),
  { name: 'upstream', port, pid: process.pid, async [Symbol.asyncDispose]() {} },
  {},
  {},
);

const boundary = 'bench-boundary';
const field = (name: string, value: string): string =>
  `--${boundary}\r\nContent-Disposition: form-data; name="${name}"\r\n\r\n${value}\r\n`;
const head = Buffer.from(
  field('model', model) +
    (isFile ? field('purpose', 'user_data') : '') +
    `--${boundary}\r\nContent-Disposition: form-data; name="file"; filename="a.bin"\r\nContent-Type: application/octet-stream\r\n\r\n`,
);
const tail = Buffer.from(`\r\n--${boundary}--\r\n`);
const piece = Buffer.alloc(1_024 ** 2, 'a');

function* body(): Generator<Buffer> {
  yield head;
  for (let left = size; left > 0; left -= piece.length) yield piece;
  yield tail;
}

async function upload(): Promise<void> {
  const sent = request({
    port: gateway.port,
    path: isFile ? '/v1/files' : '/v1/audio/transcriptions',
    method: 'POST',
    headers: {
      authorization: `Bearer ${gateway.key}`,
      'content-type': `multipart/form-data; boundary=${boundary}`,
      'content-length': head.length + size + tail.length,
    },
  });
  const answered = once(sent, 'response');
  await pipeline(body, sent);
  const [response] = await answered;
  if (response.statusCode !== 200) throw new Error(`${response.statusCode} ${await text(response)}`);
  response.resume();
}

/** Peak of what was resident, in MiB. */
const peak = (): number =>
  Number(/^VmHWM:\s+(\d+)/m.exec(readFileSync(`/proc/${gateway.pid}/status`, 'utf8'))?.[1]) / 1_024;

const say = (what: string, figure: string): void => void process.stdout.write(`${what.padEnd(44)} ${figure}\n`);
const before = peak();
const start = performance.now();
await Promise.all(Array.from({ length: uploads }, upload));
say(
  `${uploads} ${flags.kind} of ${flags.mib} MiB at once took`,
  `${((performance.now() - start) / 1_000).toFixed(1)} s`,
);
say('Received by the upstream', `${(received / 1_024 ** 2).toFixed(0)} MiB`);
say('Most resident memory', `${before.toFixed(0)} MiB before, ${peak().toFixed(0)} MiB with them`);
server.close();
