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
  const listening = new WeakSet<Socket>();
  let silent: 'none' | 'announcements' | 'all' = 'none';
  let isCut = false;
  let isShut = false;
  let delayMs = 0;
  let attempts = 0;
  let commits: Commits | undefined;

  const isSilent = (client: Socket): boolean =>
    silent === 'all' || (silent === 'announcements' && listening.has(client));

  const server = createServer((client) => {
    attempts++;
    if (isCut || isShut) return void client.destroy();
    const upstream = connect(`${directory}/.s.PGSQL.5432`);
    let hasAsked = false;
    let fate: 'answered' | 'unsent' | 'unanswered' = 'answered';
    const read = statements((text) => {
      hasAsked = true;
      asked.push(text);
      if (text === 'commit' && commits) fate = commits.fate();
    });
    for (const socket of [client, upstream]) {
      lines.add(socket);
      socket.on('error', () => undefined).on('close', () => lines.delete(socket));
    }
    client.on('data', (bytes) => {
      if (bytes.includes('gatewayctl-listen')) listening.add(client);
      read(bytes);
      if (fate === 'unsent') client.destroy();
      else if (!isSilent(client)) upstream.write(bytes);
    });
    upstream.on('data', (bytes) => {
      if (isSilent(client)) return;
      if (fate === 'unanswered') client.destroy();
      else if (delayMs > 0 && hasAsked && !listening.has(client))
        setTimeout(() => client.writable && client.write(bytes), delayMs);
      else client.write(bytes);
    });
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
    /** Connections that were asked for. */
    get attempts() {
      return attempts;
    },
    /** Every answer to a question comes so much later, but for what the connection that hears of changes is told. */
    slow(ms: number) {
      delayMs = ms;
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
    silence(which: 'announcements' | 'all' = 'all') {
      silent = which;
    },
    /** Some commits fail: the line is cut before they are sent, or once they are done and before anybody hears of it. */
    failCommits(share: number, random: () => number) {
      commits = new Commits(share, random);
      return commits;
    },
    /** What was swallowed meanwhile is lost, so the lines from before are cut. */
    mend() {
      for (const socket of lines) socket.destroy();
      isCut = false;
      isShut = false;
      silent = 'none';
      delayMs = 0;
      commits = undefined;
    },
    async [Symbol.asyncDispose]() {
      for (const socket of lines) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}

/** Decides what becomes of commits, and counts. */
export class Commits {
  readonly #share: number;
  readonly #random: () => number;
  all = 0;
  unsent = 0;
  unanswered = 0;

  constructor(share: number, random: () => number) {
    this.#share = share;
    this.#random = random;
  }

  fate(): 'answered' | 'unsent' | 'unanswered' {
    this.all++;
    if (this.#random() >= this.#share) return 'answered';
    if (this.#random() < 0.5) {
      this.unsent++;
      return 'unsent';
    }
    this.unanswered++;
    return 'unanswered';
  }
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
