import { randomUUID } from 'node:crypto';
import { readFile, readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';

import { GatewayError } from '../kernel/errors.ts';
import { absent, failure } from './embedded-failure.ts';
import type { Place } from './embedded-place.ts';
import type { ServerUser } from './embedded-user.ts';
import { runProgram, type Programs } from './postgres-programs.ts';

export interface Wanted {
  place: Place;
  user: ServerUser | undefined;
  programs: Programs;
  /** Throw-away servers do not care what a power cut leaves, and initdb is a tenth quicker without syncing. */
  durable: boolean;
}

/** Makes the data directory unless there is one, and refuses one that this PostgreSQL cannot read. */
export async function ensureCluster({ place, user, programs, durable }: Wanted): Promise<void> {
  const version = (await readFile(join(place.data, 'PG_VERSION'), 'utf8').catch(absent))?.trim();
  if (version === programs.major) return;
  if (version !== undefined) throw otherVersion(place, version, programs.major);
  const contents = (await readdir(place.data).catch(absent)) ?? [];
  if (contents.length > 0) throw damaged(place);

  await removeLeftovers(place, user);
  // Beside its final name, then renamed: a data directory is there and whole, or it is not there.
  const staging = join(place.home, `initdb-${randomUUID()}`);
  const { status, output } = await runProgram(
    programs.initdb,
    [
      `--pgdata=${staging}`,
      '--username=gatewayctl',
      // The socket lies in a directory of mode 0700, so who reaches it is the owner of these very files, or root.
      '--auth-local=trust',
      '--auth-host=reject',
      '--encoding=UTF8',
      // Not the operating system's collation: an upgrade of libc would silently break every text index.
      '--locale-provider=builtin',
      '--builtin-locale=C.UTF-8',
      '--no-locale',
      '--no-instructions',
      ...(durable ? [] : ['--no-sync']),
    ],
    user,
  );
  if (status === 0) return rename(staging, place.data);
  const problem = await failure({ place, user, what: 'initdb failed', line: complaint(output) });
  await removeLeftovers(place, user);
  throw problem;
}

/** An initdb whose starter was killed. One that still runs loses its files under its hands, and fails by itself. */
async function removeLeftovers(place: Place, user: ServerUser | undefined): Promise<void> {
  const leftovers = (await readdir(place.home)).filter((name) => name.startsWith('initdb-'));
  if (leftovers.length === 0) return;
  const paths = leftovers.map((name) => join(place.home, name));
  // As their owner, never as root: who owns the directory could put a link in the way and have root delete elsewhere.
  // What cannot be deleted is only in nobody's way.
  if (user) await runProgram('/bin/rm', ['-rf', ...paths], user).catch(absent);
  else for (const path of paths) await rm(path, { recursive: true, force: true }).catch(() => undefined);
}

const mark = /^.*?\b(PANIC|FATAL|ERROR|error): +/;

/**
 * The line that says why: the first one marked as an error, since the others follow from it. 57P03, cannot_connect_now,
 * is only what our own knocking was told meanwhile.
 */
export function complaint(output: string): string {
  const lines = output
    .trim()
    .split('\n')
    .filter((line) => !line.includes(' 57P03 '));
  const marked = lines.find((line) => mark.test(line)) ?? lines.at(-1) ?? '';
  return marked.replace(mark, '');
}

function otherVersion({ data }: Place, found: string, ours: string): GatewayError {
  return new GatewayError(
    'config',
    'embedded_postgres_version',
    `${data} was made by PostgreSQL ${found}, and this gatewayctl brings PostgreSQL ${ours}`,
    {
      hint:
        `Dump it with a PostgreSQL ${found} (pg_ctl -D '${data}' start, then pg_dump -Fc gatewayctl), move the directory away, ` +
        'start gatewayctl once, and load the dump with pg_restore; or go back to the gatewayctl that made it',
    },
  );
}

function damaged({ data }: Place): GatewayError {
  return new GatewayError(
    'config',
    'embedded_postgres_damaged',
    `${data} is not empty, and not a data directory of PostgreSQL: it has no PG_VERSION`,
    { hint: 'Restore it from a backup, or move it away to begin with an empty database' },
  );
}
