import { once } from 'node:events';
import { readdir, readFile, stat } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import type { Pool } from 'pg';

/** Every row of every table, as text: also of tables that are added one day. */
export async function tablesAsText(pool: Pool): Promise<ReadonlyMap<string, string>> {
  const { rows: tables } = await pool.query<{ schema: string; name: string }>(
    `select table_schema as schema, table_name as name from information_schema.tables
     where table_schema not in ('pg_catalog', 'information_schema') and table_type = 'BASE TABLE'`,
  );
  const texts = new Map<string, string>();
  for (const { schema, name } of tables) {
    const { rows } = await pool.query<{ row: string }>(`select t::text as row from "${schema}"."${name}" t`);
    texts.set(name, rows.map(({ row }) => row).join('\n'));
  }
  return texts;
}

export interface StoredFile {
  readonly path: string;
  readonly mode: number;
  readonly read: () => Promise<Buffer>;
}

/** The regular files below a directory. One that goes while it is read is as good as never seen. */
export async function filesBelow(directory: string): Promise<StoredFile[]> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile());
  return Promise.all(
    files.map(async ({ parentPath, name }) => {
      const path = join(parentPath, name);
      const mode = await stat(path).then(
        (found) => found.mode & 0o777,
        () => 0,
      );
      return { path, mode, read: () => readFile(path).catch(() => Buffer.alloc(0)) };
    }),
  );
}

/** Everything that is ever said to a Redis. */
export async function monitorRedis(port: number, password: string) {
  const socket = connect(port, '127.0.0.1');
  socket.on('error', () => undefined);
  let heard = '';
  socket.setEncoding('utf8').on('data', (text: string) => (heard += text));
  await once(socket, 'connect');
  socket.write(`auth ${password}\r\nmonitor\r\n`);
  return {
    get heard() {
      return heard;
    },
    [Symbol.dispose]: () => void socket.destroy(),
  };
}

/** What other users of the machine see of a process and of those it started, and what those were told. */
export async function processesBelow(
  root: number,
): Promise<{ lines: string; environments: ReadonlyMap<number, string> }> {
  const read = (of: number, file: string) => readFile(`/proc/${of}/${file}`, 'latin1').catch(() => '');
  const all = (await readdir('/proc')).filter((name) => /^\d+$/.test(name)).map(Number);
  const parents = await Promise.all(
    all.map(async (each) => [each, Number(/\) \S (\d+)/.exec(await read(each, 'stat'))?.[1])] as const),
  );
  const family = new Set([root]);
  for (let size = 0; size !== family.size;) {
    size = family.size;
    for (const [child, parent] of parents) if (family.has(parent)) family.add(child);
  }
  const lines = await Promise.all([...family].map((each) => read(each, 'cmdline')));
  const environments = new Map<number, string>();
  for (const each of family) environments.set(each, await read(each, 'environ'));
  return { lines: lines.join('\n'), environments };
}
