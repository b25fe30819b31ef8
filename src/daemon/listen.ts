import { once } from 'node:events';
import { chmod, rm } from 'node:fs/promises';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { GatewayError } from '../kernel/errors.ts';
import type { Runtime } from '../runtime.ts';

export interface Place {
  readonly host: string;
  readonly port: number;
  /** Ports up to this one are tried where those before it are taken. */
  readonly lastPort?: number;
}

/** @throws GatewayError `cannot_listen` */
export async function listen(server: Server, { host, port, lastPort = port }: Place): Promise<Server> {
  for (let candidate = port; ; candidate++) {
    try {
      server.listen(candidate, host);
      await once(server, 'listening');
      return server;
    } catch (cause) {
      const code = cause instanceof Error && 'code' in cause ? String(cause.code) : '';
      if (code === 'EADDRINUSE' && candidate < lastPort) continue;
      throw new GatewayError('cannotCreate', 'cannot_listen', `Cannot listen on ${host}:${candidate} (${code})`, {
        hint: code === 'EADDRINUSE' ? 'Something else has the port. Choose another: --port 4001' : undefined,
        cause,
      });
    }
  }
}

/** Where a server on the network can be reached. */
export function urlOf(server: Server): string {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- a server that listens on a port has an AddressInfo
  const { address, port, family } = server.address() as AddressInfo;
  return `http://${family === 'IPv6' ? `[${address}]` : address}:${port}`;
}

/** The journal is locked by us before this runs, so a socket that is there was left behind by a process that is dead. */
export async function listenOnSocket(server: Server, path: string, { withUmask }: Runtime): Promise<Server> {
  await rm(path, { force: true });
  // Node makes the socket before `listen` returns: at no moment may anybody else connect.
  withUmask(0o177, () => server.listen(path));
  await once(server, 'listening').catch((cause: unknown) => {
    throw new GatewayError('cannotCreate', 'cannot_listen', `Cannot listen on ${path}`, {
      hint: 'A socket path may be 107 bytes long; choose a shorter --state-dir.',
      cause,
    });
  });
  await chmod(path, 0o600);
  return server;
}

/** What an admin request may still take once the calls have ended, and a client that has stopped in the middle of one. */
const farewellMs = 2_000;

export function close(server: Server): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  server.close(() => resolve());
  server.closeIdleConnections();
  return promise;
}

/** Waits for what still runs, but not for ever: a connection that is idle by then is ended, and after a while any other. */
export async function endConnections(server: Server, closing: Promise<void>): Promise<void> {
  server.closeIdleConnections();
  const idle = setInterval(() => server.closeIdleConnections(), 50);
  const all = setTimeout(() => server.closeAllConnections(), farewellMs);
  await closing;
  clearInterval(idle);
  clearTimeout(all);
}
