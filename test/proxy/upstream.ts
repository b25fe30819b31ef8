import { createServer } from 'node:http';
import type { IncomingHttpHeaders, IncomingMessage, OutgoingHttpHeaders, ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { setTimeout as wait } from 'node:timers/promises';

/** A request as the upstream saw it. */
export interface UpstreamRecord {
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly rawHeaders: readonly string[];
  readonly text: string;
  readonly bytes: Buffer;
  readonly body: Record<string, unknown>;
  /** Whether the answer was sent to its end. */
  answered: boolean;
  /** Whether the other side hung up before that. */
  hungUp: boolean;
}

export interface UpstreamScript {
  readonly status?: number;
  readonly headers?: OutgoingHttpHeaders;
  /** The answer to a plain call: an object sent as JSON, or any bytes. */
  readonly answer?: object | string | Buffer;
  /** The pieces of a stream, each written by itself; without them they are made of `text`. */
  readonly chunks?: readonly (string | Buffer)[];
  readonly text?: string;
  /** `null` reports none. */
  readonly usage?: object | null;
  /** Whether a stream ends with `[DONE]`. */
  readonly done?: boolean;
  /** After so many bytes of the body the connection is cut. */
  readonly cutAfter?: number;
  /** After so many bytes of the body nothing more comes, but the connection stays. */
  readonly silentAfter?: number;
  readonly firstByteMs?: number;
  readonly chunkMs?: number;
  /** Waits for this before each piece but the first. */
  readonly beforeChunk?: (index: number) => Promise<void>;
}

export interface Upstream extends AsyncDisposable {
  /** What a deployment's `apiBase` must be. */
  readonly url: string;
  readonly requests: UpstreamRecord[];
  /** Calls answered to their end. */
  readonly answered: number;
  readonly connections: number;
  /** What the following calls get. */
  script(next: UpstreamScript | ((request: UpstreamRecord) => UpstreamScript)): void;
}

export const someUsage = {
  prompt_tokens: 9,
  completion_tokens: 3,
  total_tokens: 12,
  prompt_tokens_details: { cached_tokens: 4, audio_tokens: 0 },
  completion_tokens_details: { reasoning_tokens: 1, audio_tokens: 0 },
};

const frame = {
  id: 'chatcmpl-B9MBs8',
  created: 1_741_569_952,
  model: 'gpt-4.1-2025-04-14',
  system_fingerprint: 'fp_1',
};

export function aCompletion(content: string, usage: object | null = someUsage): Record<string, unknown> {
  const message = { role: 'assistant', content, refusal: null };
  const choices = [{ index: 0, message, logprobs: null, finish_reason: 'stop' }];
  return { ...frame, object: 'chat.completion', choices, ...(usage && { usage }) };
}

const event = (data: object): string => `data: ${JSON.stringify(data)}\n\n`;

/** A stream of one event for each word, as OpenAI sends it to somebody who asked for the usage. */
export function aStream(text: string, options: { usage?: object | null; done?: boolean } = {}): string[] {
  const { usage = someUsage, done = true } = options;
  const chunk = (delta: object, finish_reason: string | null) =>
    event({
      ...frame,
      object: 'chat.completion.chunk',
      choices: [{ index: 0, delta, logprobs: null, finish_reason }],
      ...(usage && { usage: null }),
    });
  const words = text.match(/\s*\S+/g) ?? [];
  return [
    chunk({ role: 'assistant', content: '' }, null),
    ...words.map((content) => chunk({ content }, null)),
    chunk({}, 'stop'),
    ...(usage ? [event({ ...frame, object: 'chat.completion.chunk', choices: [], usage })] : []),
    ...(done ? ['data: [DONE]\n\n'] : []),
  ];
}

/** Starts a pretend OpenAI that does what its script says and remembers every call. */
export async function startUpstream(first: UpstreamScript = {}): Promise<Upstream> {
  let next: (request: UpstreamRecord) => UpstreamScript = () => first;
  const requests: UpstreamRecord[] = [];
  const sockets = new Set<Socket>();
  let connections = 0;

  const server = createServer((request, response) => {
    serve(request, response, (record) => {
      requests.push(record);
      return next(record);
    }).catch(() => response.destroy());
  });
  server.on('connection', (socket) => {
    connections++;
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
  });
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  const { port } = server.address() as AddressInfo;

  return {
    url: `http://127.0.0.1:${port}/v1`,
    requests,
    get answered() {
      return requests.filter(({ answered }) => answered).length;
    },
    get connections() {
      return connections;
    },
    script(given) {
      next = typeof given === 'function' ? given : () => given;
    },
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => {
        server.close(resolve);
      });
    },
  };
}

async function serve(
  request: IncomingMessage,
  response: ServerResponse,
  accept: (record: UpstreamRecord) => UpstreamScript,
): Promise<void> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  const bytes = Buffer.concat(chunks);
  const text = bytes.toString();
  const record: UpstreamRecord = {
    path: request.url ?? '',
    headers: request.headers,
    rawHeaders: request.rawHeaders,
    text,
    bytes,
    body: parse(text),
    answered: false,
    hungUp: false,
  };
  const gone = new AbortController();
  response.on('close', () => {
    record.hungUp = !response.writableFinished;
    gone.abort();
  });
  await answer(response, record, { script: accept(record), signal: gone.signal });
}

async function answer(
  response: ServerResponse,
  record: UpstreamRecord,
  { script, signal }: { script: UpstreamScript; signal: AbortSignal },
): Promise<void> {
  if (script.firstByteMs) await wait(script.firstByteMs, undefined, { signal });
  const streams = record.body['stream'] === true && script.answer === undefined;
  const pieces = streams
    ? piecesOf(script)
    : [bytesOf(script.answer ?? aCompletion(script.text ?? 'Hello there', script.usage))];
  const type = streams ? 'text/event-stream; charset=utf-8' : 'application/json';
  response.writeHead(script.status ?? 200, { 'content-type': type, ...script.headers });
  response.flushHeaders();
  const limit = Math.min(script.cutAfter ?? Infinity, script.silentAfter ?? Infinity);
  let sent = 0;
  for (const [index, piece] of pieces.entries()) {
    if (index > 0 && script.chunkMs) await wait(script.chunkMs, undefined, { signal });
    if (index > 0) await script.beforeChunk?.(index);
    if (signal.aborted) return;
    await write(response, piece.subarray(0, limit - sent), signal);
    sent += piece.length;
    if (sent > limit) break;
  }
  if (script.silentAfter !== undefined && sent > limit) return;
  if (script.cutAfter !== undefined) {
    response.socket?.destroySoon();
    return;
  }
  response.end(() => {
    record.answered = true;
  });
}

async function write(response: ServerResponse, bytes: Buffer, signal: AbortSignal): Promise<void> {
  if (bytes.length === 0 || response.write(bytes)) return;
  await new Promise<void>((resolve, reject) => {
    response.once('drain', resolve);
    signal.addEventListener('abort', () => reject(new Error('gone')), { once: true });
  });
}

function piecesOf({ chunks, text = 'Hello there friend', usage, done }: UpstreamScript): Buffer[] {
  const made = chunks ?? aStream(text, { ...(usage !== undefined && { usage }), ...(done !== undefined && { done }) });
  return made.map((piece) => Buffer.from(piece as string));
}

function bytesOf(given: object | string | Buffer): Buffer {
  if (Buffer.isBuffer(given)) return given;
  return Buffer.from(typeof given === 'string' ? given : JSON.stringify(given));
}

function parse(text: string): Record<string, unknown> {
  try {
    return JSON.parse(text) as Record<string, unknown>;
  } catch {
    return {};
  }
}
