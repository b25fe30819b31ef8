import type { Socket } from 'node:net';

type Leave = () => void;

/**
 * The exchanges of each connection. HTTP lets a client send further requests before it has the first answer, and node:http
 * hands all of them out at once; the answers that wait for their turn are not told when the connection closes.
 */
export class Pipelines {
  readonly #most: number;
  readonly #exchanges = new WeakMap<Socket, Set<Leave>>();

  /** @param most exchanges of one connection under way at once */
  constructor(most: number) {
    this.#most = most;
  }

  /**
   * Notes that an exchange has begun.
   *
   * @param gone called when the connection closes before `leave` is
   * @returns whether the connection had room for it
   */
  enter(socket: Socket, gone: Leave): boolean {
    let waiting = this.#exchanges.get(socket);
    if (!waiting) {
      const all = new Set<Leave>();
      this.#exchanges.set(socket, (waiting = all));
      socket.once('close', () => all.forEach((each) => each()));
    }
    waiting.add(gone);
    return waiting.size <= this.#most;
  }

  leave(socket: Socket, gone: Leave): void {
    this.#exchanges.get(socket)?.delete(gone);
  }
}
