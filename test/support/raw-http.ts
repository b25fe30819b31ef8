import { connect, type NetConnectOpts, type Socket } from 'node:net';

/** The head of a request as it stands on the wire, because a client would mend it. One character is one byte. */
export interface RawRequest {
  /** Everything before the first header field. */
  readonly line: string;
  readonly headers: readonly string[];
  readonly body?: string;
}

export interface RawAnswer {
  /** 0 where the connection was closed without a word. */
  readonly status: number;
  readonly text: string;
}

const bytesOf = ({ line, headers, body = '' }: RawRequest): Buffer =>
  Buffer.from([line, ...headers, `Content-Length: ${body.length}`, '', body].join('\r\n'), 'latin1');

/** What is longer is not read to its end. */
const enough = 60_000;

/** How long the whole answer is, once its head is there. Nothing follows the head of an answer to HEAD. */
const wholeLength = (text: string, line: string): number => {
  const end = text.indexOf('\r\n\r\n');
  if (end === -1) return Infinity;
  if (line.startsWith('HEAD ')) return end + 4;
  const length = /\r\ncontent-length: (\d+)/i.exec(text.slice(0, end));
  return length ? Math.min(end + 4 + Number(length[1]), enough) : Infinity;
};

/** One connection after the other, each used for as long as the server keeps it. */
export class Lane {
  readonly #options: NetConnectOpts;
  #socket: Socket | undefined;
  #text = '';
  #onText: () => void = () => undefined;

  constructor(options: NetConnectOpts) {
    this.#options = options;
  }

  send(request: RawRequest): Promise<RawAnswer> {
    const socket = (this.#socket ??= this.#open());
    this.#text = '';
    const { promise, resolve, reject } = Promise.withResolvers<RawAnswer>();
    socket.removeAllListeners('timeout').once('timeout', () => {
      reject(new Error(`No whole answer to ${JSON.stringify(request.line)}: ${this.#text}`));
    });
    this.#onText = () => {
      const text = this.#text;
      const isClosed = this.#socket !== socket;
      if (!isClosed && text.length < wholeLength(text, request.line)) return;
      if (/\r\nconnection: close/i.test(text) || text.length >= enough || !text.startsWith('HTTP/1.1 ')) this.close();
      resolve({ status: Number(/^HTTP\/1\.1 (\d{3})/.exec(text)?.[1] ?? 0), text });
    };
    socket.write(bytesOf(request));
    return promise;
  }

  close(): void {
    this.#socket?.destroy();
    this.#socket = undefined;
  }

  #open(): Socket {
    const socket = connect(this.#options);
    socket.setEncoding('latin1').on('error', () => undefined);
    socket.setTimeout(10_000);
    socket.on('data', (chunk: string) => {
      this.#text += chunk;
      this.#onText();
    });
    socket.on('close', () => {
      if (this.#socket !== socket) return;
      this.#socket = undefined;
      this.#onText();
    });
    return socket;
  }
}

/** Sends all of them over a few connections at once; the answers are handed out as they come. */
export async function sendAll<R extends RawRequest>(
  requests: Iterable<R>,
  options: NetConnectOpts,
  onAnswer: (request: R, answer: RawAnswer) => void,
): Promise<void> {
  const waiting = requests[Symbol.iterator]();
  await Promise.all(
    Array.from({ length: 24 }, async () => {
      const lane = new Lane(options);
      for (let next = waiting.next(); !next.done; next = waiting.next())
        onAnswer(next.value, await lane.send(next.value));
      lane.close();
    }),
  );
}
