import type { Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { clientNetwork } from '../kernel/client-network.ts';
import { GatewayError } from '../kernel/errors.ts';
import { type Networks, plainAddress } from '../kernel/networks.ts';
import { limits } from './limits.ts';
import { refuseSocket, unreadable } from './refusal.ts';

const tooMany = (where: string, hint?: string) =>
  new GatewayError('unavailable', 'too_many_connections', `Too many connections are open ${where}`, {
    headers: { 'retry-after': '1' },
    hint,
  });

/** Counts the connections of one server and refuses what is too much, or is not HTTP. */
export class Connections {
  readonly #most: number;
  readonly #proxies: Networks | undefined;
  readonly #open = new Map<string, number>();
  #count = 0;
  readonly #refused = new WeakSet<Socket>();
  readonly #answering = new WeakMap<Socket, { response: ServerResponse; requests: number }>();

  /**
   * @param most connections in all; further ones are closed
   * @param proxies peers that stand for many clients: their connections are not counted for one
   */
  constructor(most: number, proxies?: Networks) {
    this.#most = most;
    this.#proxies = proxies;
  }

  watch(server: Server): void {
    // Those between the two limits are told why they are refused, which takes a moment and a descriptor.
    server.maxConnections = this.#most + limits.refusedConnections;
    server.maxRequestsPerSocket = limits.requestsPerConnection;
    server.on('connection', (socket) => this.#enter(socket));
    server.on('clientError', (error, socket) => this.#failed(error, socket));
  }

  /** Whether a request is to be passed over: its connection has been refused already. */
  isRefused(socket: Socket): boolean {
    return this.#refused.has(socket);
  }

  answering(socket: Socket, response: ServerResponse): void {
    const answering = this.#answering.get(socket) ?? { response, requests: 0 };
    answering.response = response;
    this.#answering.set(socket, answering);
    if (++answering.requests < limits.requestsPerConnection) return;
    // Node says `connection: close` in the last answer, and leaves a pipelined connection open until it has idled for 65 s.
    response.once('finish', () => socket.end());
  }

  #enter(socket: Socket): void {
    this.#count++;
    socket.on('close', () => this.#count--);
    if (this.#count > this.#most) this.#refuse(socket, tooMany('on this listener'));
    // The owner of a Unix socket has no address, and is not counted.
    const client = clientNetwork(socket.remoteAddress);
    if (client === '' || this.#proxies?.has(plainAddress(socket.remoteAddress))) return;
    const count = (this.#open.get(client) ?? 0) + 1;
    this.#open.set(client, count);
    socket.on('close', () => {
      const rest = (this.#open.get(client) ?? 1) - 1;
      if (rest > 0) this.#open.set(client, rest);
      else this.#open.delete(client);
    });
    if (count <= limits.connectionsPerClient || this.#refused.has(socket)) return;
    this.#refuse(socket, tooMany('from this address', `One address may have ${limits.connectionsPerClient}.`));
  }

  #refuse(socket: Socket, error: GatewayError): void {
    this.#refused.add(socket);
    refuseSocket(socket, error);
  }

  #failed(error: Error, stream: Duplex): void {
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- a server on the network, or on a path, has sockets
    const socket = stream as Socket;
    const response = this.#answering.get(socket)?.response;
    const isAnswered = response !== undefined && response.headersSent && !response.writableFinished;
    // In the middle of an answer another one would be taken for its end.
    if (!socket.writable || isAnswered || this.#refused.has(socket)) socket.destroy();
    else refuseSocket(socket, unreadable(error));
  }
}
