import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

/**
 * Stands between a daemon and its PostgreSQL: writes down what is asked, and can cut the line or let it go silent.
 *
 * @param databaseUrl of an embedded server, whose host is the directory of its socket
 */
export async function startRelay(databaseUrl: string) {
  const directory = decodeURIComponent(/@([^:/]+):/.exec(databaseUrl)?.[1] ?? '');
  const asked: string[] = [];
  const lines = new Set<Socket>();
  let isSilent = false;
  let isCut = false;
  let isShut = false;

  const server = createServer((client) => {
    if (isCut || isShut) return void client.destroy();
    const upstream = connect(`${directory}/.s.PGSQL.5432`);
    const read = statements((text) => asked.push(text));
    for (const socket of [client, upstream]) {
      lines.add(socket);
      socket.on('error', () => undefined).on('close', () => lines.delete(socket));
    }
    client.on('data', (bytes) => {
      read(bytes);
      if (!isSilent) upstream.write(bytes);
    });
    upstream.on('data', (bytes) => isSilent || client.write(bytes));
    client.on('close', () => upstream.destroy());
    upstream.on('close', () => client.destroy());
    return undefined;
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;

  return {
    url: `postgres://gatewayctl@127.0.0.1:${port}/gatewayctl?sslmode=disable`,
    /** Statements, or the names of prepared ones, in the order they were asked. */
    asked,
    /** Looked up a key. */
    get lookups() {
      return asked.filter((text) => text === 'key-by-token').length;
    },
    /** Ends every connection and takes no new one, as a stopped server does. */
    cut() {
      isCut = true;
      for (const socket of lines) socket.destroy();
    },
    /** Connections stay and work, and no new one is taken. */
    shut() {
      isShut = true;
    },
    /** Connections stay, and nothing comes through, as behind a broken router. */
    silence() {
      isSilent = true;
    },
    /** What was swallowed meanwhile is lost, so the lines from before are cut. */
    mend() {
      for (const socket of lines) socket.destroy();
      isCut = false;
      isShut = false;
      isSilent = false;
    },
    async [Symbol.asyncDispose]() {
      for (const socket of lines) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}

/** Reads PostgreSQL's frontend messages out of a stream: https://www.postgresql.org/docs/current/protocol-message-formats.html */
function statements(found: (text: string) => void): (bytes: Buffer) => void {
  let rest: Buffer = Buffer.alloc(0);
  let isStarted = false;
  return (bytes) => {
    rest = Buffer.concat([rest, bytes]);
    for (;;) {
      // The first message has no type.
      const head = isStarted ? 1 : 0;
      if (rest.length < head + 4) return;
      const length = rest.readUInt32BE(head);
      if (rest.length < head + length) return;
      const type = isStarted ? String.fromCharCode(rest[0] ?? 0) : '';
      const texts = rest
        .subarray(head + 4, head + length)
        .toString('utf8')
        .split('\0');
      if (type === 'Q') found(texts[0] ?? '');
      if (type === 'P' && texts[0] === '') found(texts[1] ?? '');
      if (type === 'B' && texts[1]) found(texts[1]);
      isStarted = true;
      rest = rest.subarray(head + length);
    }
  };
}
