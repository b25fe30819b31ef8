import { connect, type Socket } from 'node:net';

export interface Load {
  readonly port: number;
  readonly request: Buffer;
  readonly connections: number;
  readonly forMs: number;
}

export interface Loaded {
  readonly requests: number;
  readonly seconds: number;
  /** From the request's first byte to the answer's last, in milliseconds, sorted. */
  readonly latencies: readonly number[];
}

const headEnd = Buffer.from('\r\n\r\n');
const lastChunk = Buffer.from('0\r\n\r\n');

/**
 * A closed loop: on each connection the next request goes out when the last answer is whole. Raw sockets, because an
 * HTTP client would cost more than the servers under test.
 */
export async function load({ port, request, connections, forMs }: Load): Promise<Loaded> {
  const latencies: number[] = [];
  const startedMs = performance.now();
  const until = startedMs + forMs;
  const clients = Array.from({ length: connections }, () => client({ port, request, until, latencies }));
  await Promise.all(clients);
  const seconds = (performance.now() - startedMs) / 1_000;
  return { requests: latencies.length, seconds, latencies: latencies.toSorted((one, other) => one - other) };
}

interface Client {
  readonly port: number;
  readonly request: Buffer;
  readonly until: number;
  readonly latencies: number[];
}

function client({ port, request, until, latencies }: Client): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const socket: Socket = connect({ port, host: '127.0.0.1', noDelay: true });
  const answer = new Answer();
  let sentMs = 0;
  const send = () => {
    sentMs = performance.now();
    socket.write(request);
  };
  socket.on('connect', send);
  socket.on('error', reject);
  socket.on('close', () => reject(new Error('The server closed a connection')));
  socket.on('data', (bytes) => {
    try {
      if (!answer.take(bytes)) return;
    } catch (error) {
      reject(error instanceof Error ? error : new Error(String(error)));
      socket.destroy();
      return;
    }
    const nowMs = performance.now();
    latencies.push(nowMs - sentMs);
    if (nowMs < until) return send();
    resolve();
    socket.destroy();
  });
  return promise;
}

/** Finds the end of an answer, and refuses one that is not a 200. */
class Answer {
  #head: Buffer = Buffer.alloc(0);
  /** Bytes of the body still to come; -1 when it is chunked, undefined while the head is not whole. */
  #left: number | undefined;
  #tail: Buffer = Buffer.alloc(0);

  /** Whether the answer is whole now. */
  take(bytes: Buffer): boolean {
    let body = bytes;
    if (this.#left === undefined) {
      const all = this.#head.length === 0 ? bytes : Buffer.concat([this.#head, bytes]);
      const end = all.indexOf(headEnd);
      if (end === -1) {
        this.#head = all;
        return false;
      }
      this.#begin(all.toString('latin1', 0, end + 2), all);
      body = all.subarray(end + headEnd.length);
    }
    return this.#isWhole(body);
  }

  #begin(head: string, all: Buffer): void {
    if (!head.startsWith('HTTP/1.1 200')) throw new Error(`The server answered: ${all.toString().slice(0, 500)}`);
    const length = /\r\ncontent-length: *(\d+)/i.exec(head)?.[1];
    this.#left = length === undefined ? -1 : Number(length);
    this.#head = Buffer.alloc(0);
    this.#tail = Buffer.alloc(0);
  }

  #isWhole(body: Buffer): boolean {
    if (this.#left === undefined) return false;
    if (this.#left >= 0) {
      this.#left -= body.length;
      if (this.#left > 0) return false;
    } else {
      const tail =
        body.length >= lastChunk.length ? body.subarray(-lastChunk.length) : Buffer.concat([this.#tail, body]);
      this.#tail = tail.subarray(-lastChunk.length);
      if (!this.#tail.equals(lastChunk)) return false;
    }
    this.#left = undefined;
    return true;
  }
}
