import { execFile, spawn } from 'node:child_process';
import { constants, open, readFile, readlink, realpath, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';

import { GatewayError } from '../kernel/errors.ts';
import { absent, codeOf, notOurs } from './embedded-failure.ts';
import type { Place } from './embedded-place.ts';
import type { ServerUser } from './embedded-user.ts';
import { environment, identity, type Programs } from './postgres-programs.ts';

/** Idle, with these: 18 MB in five processes (proportional set size), and 6 MB for the holder's backend. */
const settings = {
  // No TCP, not even on localhost: there every user of the machine could knock.
  listen_addresses: '',
  unix_socket_permissions: '0700',
  max_connections: '100',
  // Touched as it fills, so an idle server does not pay for it.
  shared_buffers: '64MB',
  // Nobody replicates from here: less WAL, and a process fewer.
  wal_level: 'minimal',
  max_wal_senders: '0',
  max_logical_replication_workers: '0',
  // The default keeps three processes only to read ahead.
  io_method: 'sync',
  min_wal_size: '32MB',
  max_wal_size: '256MB',
  // The package has no LLVM to compile with.
  jit: 'off',
  // Not /dev/shm: a container has 64 MB of it, and systemd-logind empties it of a user's files when they log out.
  dynamic_shared_memory_type: 'mmap',
  // A client that was killed is noticed in the middle of its query, and does not keep the server up.
  client_connection_check_interval: '5s',
  // The server's own words only. A client is told its errors; here they would fill the disk and could quote a secret.
  log_min_messages: 'log',
  log_min_error_statement: 'panic',
  log_checkpoints: 'off',
  // With the SQLSTATE, so that a failed start is recognised without reading prose.
  log_line_prefix: '%m [%p] %e ',
};

const largestLog = 10 * 1024 * 1024;

/** A server that was started and may not be up yet. */
export interface Launched {
  readonly hasExited: boolean;
  /** What it wrote to its log since. */
  output(): Promise<string>;
}

export interface Launch {
  place: Place;
  user: ServerUser | undefined;
  programs: Programs;
  extra: Readonly<Record<string, string>>;
}

/**
 * Starts the server in a session of its own, so that neither Ctrl-C in our terminal nor our death reaches it.
 * Call it under the lock, and only when no postmaster of this data directory is alive.
 */
export async function launch({ place, user, programs, extra }: Launch): Promise<Launched> {
  // A pid in it may be another program's by now, and would keep the server from starting. The directory is ours alone.
  await rm(place.socketLock, { force: true });
  await using log = await openLog(place, user);
  const { size: start } = await log.stat();
  const given = Object.entries({ ...settings, ...extra }).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
  const child = spawn(programs.postgres, ['-D', place.data, '-k', place.home, ...given], {
    cwd: '/',
    detached: true,
    stdio: ['ignore', log.fd, log.fd],
    env: { ...environment, ...(await pardon(place)) },
    ...identity(user),
  });
  child.unref();
  let exited: Error | 'exited' | undefined;
  child.on('error', (error) => (exited = error)).on('exit', () => (exited ??= 'exited'));
  return {
    get hasExited() {
      return exited !== undefined;
    },
    async output() {
      if (exited instanceof Error) return exited.message;
      return (await readFile(place.log)).subarray(start).toString();
    },
  };
}

/**
 * After a crash postmaster.pid names a pid that another program of the same user may have got since, and PostgreSQL
 * would refuse to start for as long as that one runs. Deleting the file would work, and would also forget which shared
 * memory the orphans of a killed postmaster still write through. This variable, pg_ctl's own, makes the server pass
 * over the pid and still look at the memory.
 */
async function pardon(place: Place): Promise<{ PG_GRANDPARENT_PID?: string }> {
  const pid = await postmasterPid(place);
  return pid === undefined ? {} : { PG_GRANDPARENT_PID: String(pid) };
}

/** As root this is a file in another user's directory, who must not get /etc/passwd truncated by a link of that name. */
async function openLog({ log: path }: Place, user: ServerUser | undefined) {
  const { O_WRONLY, O_APPEND, O_CREAT, O_NOFOLLOW } = constants;
  const log = await open(path, O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW, 0o600);
  const { size, nlink } = await log.stat();
  if (nlink !== 1) {
    await log.close();
    throw notOurs(path, 'it has another name elsewhere');
  }
  if (user) await log.chown(user.uid, user.gid);
  if (size > largestLog) await log.truncate();
  return log;
}

async function postmasterPid({ data }: Place): Promise<number | undefined> {
  const text = await readFile(join(data, 'postmaster.pid'), 'utf8').catch(absent);
  const pid = Number.parseInt(text ?? '', 10);
  return pid > 1 ? pid : undefined;
}

/** The pid of this data directory's postmaster, if postmaster.pid tells the truth. */
export async function livingPostmaster(place: Place): Promise<number | undefined> {
  const pid = await postmasterPid(place);
  return pid !== undefined && (await isPostmaster(pid, place)) ? pid : undefined;
}

/** It works in its data directory. A zombie has no such link any more, and is as dead as it gets. */
async function isPostmaster(pid: number, { data }: Place): Promise<boolean> {
  try {
    if (process.platform === 'linux') {
      const name = await readFile(`/proc/${pid}/comm`, 'utf8');
      return name.trim() === 'postgres' && (await readlink(`/proc/${pid}/cwd`)) === (await realpath(data));
    }
    const { stdout } = await promisify(execFile)('/bin/ps', ['-ww', '-o', 'args=', '-p', String(pid)]);
    return stdout.includes(`-D ${data} `);
  } catch {
    // No such process, or one that is not ours to look at.
    return false;
  }
}

const stopMs = 30_000;

/**
 * Ends the server and returns when it is gone. The pid is signalled only after it was seen to be this postmaster: the
 * file that names it belongs to the server's user, and root must not be made to signal whatever that user writes there.
 */
export async function stop(place: Place): Promise<void> {
  const pid = await livingPostmaster(place);
  if (pid === undefined) return;
  try {
    // A fast shutdown: it does not wait for clients.
    process.kill(pid, 'SIGINT');
  } catch (error) {
    if (codeOf(error) !== 'ESRCH') throw error;
  }
  const deadline = performance.now() + stopMs;
  while (await isPostmaster(pid, place)) {
    if (performance.now() > deadline) throw reluctant(place, pid);
    await sleep(5);
  }
}

function reluctant(place: Place, pid: number): GatewayError {
  return new GatewayError(
    'unavailable',
    'embedded_postgres_stuck',
    `The embedded PostgreSQL was asked to stop and has not ended after ${stopMs / 1000} s`,
    { hint: `It may still be writing to the disk; see ${place.log} and process ${pid}` },
  );
}
