/**
 * Sends each of the recorded streams once for every byte it could be cut at, and says what became of it. A thread of its
 * own: the runner of tests watches every socket of its thread, which costs as much as all the rest.
 */
import { Agent } from 'node:http';
import { createServer, type Socket } from 'node:net';
import type { AddressInfo } from 'node:net';
import { parentPort } from 'node:worker_threads';
import type { CallOutcome } from '../../src/metering/call.ts';
import { type Answer, Gateway, aDeployment } from './gateway.ts';
import { type RecordedStream, recordedStreams } from './recorded-streams.ts';

/** What came of a stream that was cut after as many bytes as its place in the list says. */
export interface Cut {
  readonly answer: Pick<Answer, 'status' | 'text' | 'complete'>;
  readonly outcomes: readonly CallOutcome[];
}

export interface CutStream {
  readonly name: string;
  readonly cuts: readonly Cut[];
}

const atOnce = 16;

/** An upstream that is told by the model's name where to hang up. */
async function startCutter(whole: Buffer) {
  const server = createServer((socket) => {
    let text = '';
    socket.on('error', () => {});
    socket.on('data', (chunk: Buffer) => {
      text += chunk.toString();
      const model = /"model":"(\d+)"/.exec(text)?.[1];
      if (model !== undefined) answer(socket, whole, Number(model));
    });
  });
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  const { port } = server.address() as AddressInfo;
  return { url: `http://127.0.0.1:${port}`, close: () => server.close() };
}

const head = 'HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n';

function answer(socket: Socket, whole: Buffer, cutAfter: number): void {
  const size = cutAfter > 0 ? `${cutAfter.toString(16)}\r\n` : '';
  socket.write(Buffer.concat([Buffer.from(head + size), whole.subarray(0, cutAfter)]));
  socket.destroySoon();
}

async function cutEverywhere(recorded: RecordedStream): Promise<CutStream> {
  const whole = Buffer.from(recorded.events.join(''));
  const upstream = await startCutter(whole);
  const apiBase = recorded.provider === 'anthropic' ? upstream.url : `${upstream.url}/v1`;
  const deployment = aDeployment({ name: 'cut-*', upstreamModel: '*', provider: recorded.provider, apiBase });
  await using gateway = await Gateway.start({ deployments: [deployment] });
  const agent = new Agent({ keepAlive: true });

  const answers: Answer[] = [];
  let next = 0;
  const worker = async () => {
    while (next <= whole.length) {
      const cutAfter = next++;
      const body = { ...recorded.body, model: `cut-${cutAfter}` };
      answers[cutAfter] = await gateway.send(body, { path: recorded.path, agent });
    }
  };
  await Promise.all(Array.from({ length: atOnce }, worker));
  agent.destroy();
  upstream.close();

  const booked = Map.groupBy(gateway.bookings, ({ start }) => start.model);
  const cuts = answers.map(({ status, text, complete }, cutAfter) => ({
    answer: { status, text, complete },
    outcomes: booked.get(`cut-${cutAfter}`)?.flatMap(({ outcomes }) => outcomes) ?? [],
  }));
  return { name: recorded.name, cuts };
}

// Most of what is cut ends in an error, and nobody reads where that was thrown.
Error.stackTraceLimit = 0;
for (const recorded of recordedStreams) {
  const cut = await cutEverywhere(recorded);
  // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread, which has no origin
  parentPort?.postMessage(cut);
}
