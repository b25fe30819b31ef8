import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

/**
 * Stands between a daemon and its Redis: writes down what is asked, and can slow the answers, cut the line or let it go
 * silent.
 */
export async function startRedisRelay(redisUrl: string) {
  const { port: target } = new URL(redisUrl);
  const asked: string[] = [];
  const lines = new Set<Socket>();
  let isSilent = false;
  let delayMs = 0;

  const server = createServer((client) => {
    const upstream = connect(Number(target), '127.0.0.1');
    for (const socket of [client, upstream]) {
      lines.add(socket);
      socket.on('error', () => undefined).on('close', () => lines.delete(socket));
    }
    client.on('data', (bytes) => {
      // A command is an array of strings, the first of which is its name.
      for (const [, name = ''] of bytes.toString('latin1').matchAll(/\*\d+\r\n\$\d+\r\n(\w+)\r\n/g))
        asked.push(name.toUpperCase());
      if (!isSilent) upstream.write(bytes);
    });
    upstream.on('data', (bytes) => {
      if (isSilent) return;
      if (delayMs > 0) setTimeout(() => client.writable && client.write(bytes), delayMs);
      else client.write(bytes);
    });
    client.on('close', () => upstream.destroy());
    upstream.on('close', () => client.destroy());
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;

  return {
    url: `redis://127.0.0.1:${port}`,
    /** Names of commands, but for those by which the daemon finds out whether Redis is there. */
    get asked(): string[] {
      return asked.filter((name) => !['PING', 'HELLO', 'CLIENT', 'SUBSCRIBE'].includes(name));
    },
    slow(ms: number) {
      delayMs = ms;
    },
    /** Connections stay and new ones are taken, and nothing comes through. */
    silence() {
      isSilent = true;
    },
    mend() {
      // What was swallowed meanwhile is lost, so the lines from before are cut.
      if (isSilent) for (const socket of lines) socket.destroy();
      isSilent = false;
      delayMs = 0;
    },
    async [Symbol.asyncDispose]() {
      for (const socket of lines) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}
