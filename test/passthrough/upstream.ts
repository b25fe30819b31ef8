import { createServer, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface Received {
  readonly method: string;
  readonly url: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

type Reply = (request: Received, response: ServerResponse, raw: IncomingMessage) => void;

/** Somebody else's API on loopback: it writes down what it is asked, and answers as it is told to. */
export class PretendUpstream {
  readonly received: Received[] = [];
  /** Requests whose client went before the answer was whole. */
  aborted = 0;
  reply: Reply = (_, response) => {
    response.writeHead(200, { 'content-type': 'application/json' }).end('{}');
  };
  readonly #server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const { method = '', url = '', headers } = request;
      const received = { method, url, headers, body: Buffer.concat(chunks).toString('latin1') };
      this.received.push(received);
      response.on('close', () => {
        if (!response.writableFinished) this.aborted++;
      });
      this.reply(received, response, request);
    });
  });

  async listen(): Promise<this> {
    this.#server.keepAliveTimeout = 60_000;
    await new Promise<void>((resolve) => {
      this.#server.listen(0, '127.0.0.1', resolve);
    });
    return this;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  get last(): Received | undefined {
    return this.received.at(-1);
  }

  json(value: unknown, headers: Record<string, string> = {}): void {
    this.reply = (_, response) => {
      response.writeHead(200, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(value));
    };
  }

  /** Bytes in pieces of so many. */
  stream(type: string, bytes: Buffer, piece = 7): void {
    this.reply = (_, response) => {
      response.writeHead(200, { 'content-type': type });
      for (let from = 0; from < bytes.length; from += piece) response.write(bytes.subarray(from, from + piece));
      response.end();
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => {
      this.#server.close(resolve);
    });
  }
}
