import { once } from 'node:events';
import { type AddressInfo, createServer, type Server } from 'node:net';

export interface Trap extends AsyncDisposable {
  readonly port: number;
  /** How many connections somebody has made to it. */
  readonly connections: number;
}

/** Listens at one port of both loopback addresses, says nothing, and counts who comes. */
export async function startTrap(): Promise<Trap> {
  let connections = 0;
  const listening: Server[] = [];
  const open = async (host: string, port: number): Promise<number> => {
    const server = createServer((socket) => {
      connections++;
      socket.destroy();
    });
    server.listen({ host, port, ipv6Only: true });
    await once(server, 'listening');
    listening.push(server);
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- a server that listens on a port has an AddressInfo
    return (server.address() as AddressInfo).port;
  };
  const port = await open('127.0.0.1', 0);
  await open('::1', port);
  return {
    port,
    get connections() {
      return connections;
    },
    async [Symbol.asyncDispose]() {
      for (const server of listening) server.close();
      await Promise.all(listening.map((server) => once(server, 'close')));
    },
  };
}
