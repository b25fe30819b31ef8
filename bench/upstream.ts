import { createServer, type Socket } from 'node:net';
import { chunkEveryMs, chunks } from './shape.ts';

/**
 * The provider that all servers under test call: raw sockets and answers made beforehand, so that as little as possible
 * of its core is taken from the load generator, with which it shares one.
 */

const usage = { prompt_tokens: 61, completion_tokens: 100, total_tokens: 161 };

const content =
  'The gateway reads the request, finds out who is calling, and takes the worst case from the budget. ' +
  'Then it calls the provider, passes on what comes back, and books what it cost before the last byte leaves. ' +
  'What a benchmark of it measures is therefore mostly the work of an HTTP server and of an HTTP client; ' +
  'the rest should be small, and this answer is as long as a short paragraph, to be ordinary in that as well.';

const completion = Buffer.from(
  JSON.stringify({
    id: 'chatcmpl-BenchBenchBenchBenchBenchBench',
    object: 'chat.completion',
    created: 1_760_000_000,
    model: 'gpt-bench-2026-01-01',
    choices: [
      {
        index: 0,
        message: { role: 'assistant', content: content + content, refusal: null, annotations: [] },
        logprobs: null,
        finish_reason: 'stop',
      },
    ],
    usage: { ...usage, prompt_tokens_details: { cached_tokens: 0, audio_tokens: 0 } },
    service_tier: 'default',
    system_fingerprint: 'fp_bench',
  }),
);

function withHead(body: Buffer): Buffer {
  const head = `HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nx-request-id: req_bench\r\ncontent-length: ${body.length}\r\n\r\n`;
  return Buffer.concat([Buffer.from(head), body]);
}

const plain = withHead(completion);

const streamHead = Buffer.from(
  'HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\nx-request-id: req_bench\r\ntransfer-encoding: chunked\r\n\r\n',
);

function framed(text: string): Buffer {
  return Buffer.from(`${Buffer.byteLength(text).toString(16)}\r\n${text}\r\n`);
}

function event(delta: object | undefined, finish: string | null, reported: object | null): string {
  const choices = delta === undefined ? [] : [{ index: 0, delta, logprobs: null, finish_reason: finish }];
  return `data: ${JSON.stringify({
    id: 'chatcmpl-BenchBenchBenchBenchBenchBench',
    object: 'chat.completion.chunk',
    created: 1_760_000_000,
    model: 'gpt-bench-2026-01-01',
    service_tier: 'default',
    system_fingerprint: 'fp_bench',
    choices,
    usage: reported,
  })}\n\n`;
}

/** `chunks` pieces with text, and at the end what an upstream says last: why it stopped, what was used, that this was all. */
const pieces: readonly Buffer[] = [
  ...Array.from({ length: chunks }, (_, index) => framed(event({ content: ` word${index % 10}` }, null, null))),
  Buffer.concat([
    framed(event({}, 'stop', null)),
    framed(event(undefined, null, usage)),
    framed('data: [DONE]\n\n'),
    Buffer.from('0\r\n\r\n'),
  ]),
];

/** The same answers in Anthropic's protocol. */
const message = {
  id: 'msg_BenchBenchBenchBenchBench',
  type: 'message',
  role: 'assistant',
  model: 'claude-bench-2026-01-01',
  content: [{ type: 'text', text: content + content }],
  stop_reason: 'end_turn',
  stop_sequence: null,
  usage: { input_tokens: 61, output_tokens: 100, cache_creation_input_tokens: 0, cache_read_input_tokens: 0 },
};
const plainMessage = withHead(Buffer.from(JSON.stringify(message)));

function named(type: string, data: object): string {
  return `event: ${type}\ndata: ${JSON.stringify({ type, ...data })}\n\n`;
}

const messageText = (text: string): Buffer =>
  framed(named('content_block_delta', { index: 0, delta: { type: 'text_delta', text } }));
const messagePieces: readonly Buffer[] = [
  Buffer.concat([
    framed(named('message_start', { message: { ...message, content: [], stop_reason: null } })),
    framed(named('content_block_start', { index: 0, content_block: { type: 'text', text: '' } })),
    messageText(' word0'),
  ]),
  ...Array.from({ length: chunks - 1 }, (_, index) => messageText(` word${(index + 1) % 10}`)),
  Buffer.concat([
    framed(named('content_block_stop', { index: 0 })),
    framed(named('message_delta', { delta: { stop_reason: 'end_turn', stop_sequence: null }, usage: message.usage })),
    framed(named('message_stop', {})),
    Buffer.from('0\r\n\r\n'),
  ]),
];

/** Streams under way and how far each is. One timer moves all of them on: a chunk each, and a write each. */
const streams = new Map<Socket, { readonly of: readonly Buffer[]; next: number }>();
setInterval(() => {
  for (const [socket, stream] of streams) {
    const piece = stream.of[stream.next];
    if (piece === undefined || socket.destroyed) streams.delete(socket);
    else {
      stream.next++;
      socket.write(piece);
    }
  }
}, chunkEveryMs);

const headEnd = Buffer.from('\r\n\r\n');

/** The length of the first whole request in what arrived, or 0 when it is not there yet. */
function requestLength(bytes: Buffer): number {
  const end = bytes.indexOf(headEnd);
  if (end === -1) return 0;
  const body = end + headEnd.length;
  const head = bytes.toString('latin1', 0, body);
  const length = /\r\ncontent-length: *(\d+)/i.exec(head)?.[1];
  if (length !== undefined) return bytes.length >= body + Number(length) ? body + Number(length) : 0;
  const last = bytes.indexOf('0\r\n\r\n', body);
  return last === -1 ? 0 : last + 5;
}

const server = createServer({ noDelay: true }, (socket) => {
  let pending: Buffer = Buffer.alloc(0);
  socket.on('error', () => socket.destroy());
  socket.on('close', () => streams.delete(socket));
  socket.on('data', (bytes) => {
    pending = pending.length === 0 ? bytes : Buffer.concat([pending, bytes]);
    const length = requestLength(pending);
    if (length === 0) return;
    const isStream = pending.subarray(0, length).includes('"stream":true');
    const isMessage = pending.subarray(0, 20).includes('/v1/messages');
    // Says one word, and falls silent.
    const isIdle = pending.subarray(0, length).includes('"user":"idle"');
    pending = pending.subarray(length);
    if (isStream) {
      socket.write(streamHead);
      if (isIdle && pieces[0]) socket.write(pieces[0]);
      else streams.set(socket, { of: isMessage ? messagePieces : pieces, next: 0 });
    } else socket.write(isMessage ? plainMessage : plain);
  });
});

server.listen(0, '127.0.0.1', () => {
  const address = server.address();
  if (typeof address === 'object' && address) process.stdout.write(`listening on ${address.port}\n`);
});
