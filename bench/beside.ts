import { once } from 'node:events';
import { connect } from 'node:net';
import { setTimeout as wait } from 'node:timers/promises';
import { parentPort, workerData } from 'node:worker_threads';

/**
 * Plain calls one after the other, until it is told to stop; says what each took. In a thread of its own: the one that closes
 * ten thousand connections could not tell how long the daemon was busy with them from how long it was itself.
 */

// oxlint-disable-next-line typescript/no-unsafe-type-assertion -- bench/streams.ts starts it with this
const { port, request } = workerData as { readonly port: number; readonly request: Uint8Array };

const told = new AbortController();
parentPort?.once('message', () => told.abort());
const socket = connect(port, '127.0.0.1');
const times: number[] = [];
while (!told.signal.aborted) {
  const start = performance.now();
  socket.write(request);
  const [bytes]: Buffer[] = await once(socket, 'data');
  if (!bytes?.toString('latin1', 0, 15).includes(' 200')) throw new Error(String(bytes));
  times.push(performance.now() - start);
  await wait(2);
}
socket.destroy();
// oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread has no origin
parentPort?.postMessage(times);
