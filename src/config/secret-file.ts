import { randomBytes } from 'node:crypto';
import {
  closeSync,
  constants,
  fstatSync,
  fsyncSync,
  linkSync,
  openSync,
  readFileSync,
  unlinkSync,
  writeSync,
} from 'node:fs';
import { dirname } from 'node:path';
import { GatewayError } from '../kernel/errors.ts';
import { whyUnreadable } from './yaml.ts';

const mostBytes = 64 * 1024;

/**
 * A secret from a file the operator named. Its permissions are theirs: Docker mounts secrets as 0444 and systemd lets
 * a group read credentials.
 *
 * @returns the text, or why there is none, in words that hold nothing of it
 */
export function readSecretFile(path: string): { readonly text: string } | { readonly problem: string } {
  try {
    const text = readLimited(openSync(path, constants.O_RDONLY));
    if (text === undefined) return { problem: `${path} is too large for a secret` };
    return text ? { text } : { problem: `${path} is empty` };
  } catch (error) {
    return { problem: `${path}: ${whyUnreadable(error)}` };
  }
}

function readLimited(descriptor: number): string | undefined {
  try {
    if (fstatSync(descriptor).size > mostBytes) return undefined;
    return readFileSync(descriptor, 'utf8').trim();
  } finally {
    closeSync(descriptor);
  }
}

/** What is kept under a path, made the first time. */
export interface Kept {
  readonly text: string;
  readonly origin: 'generated' | 'kept';
}

/**
 * Reads a secret of our own from the state directory, or makes it. However many processes start at once, one text is
 * kept and all of them answer it: a link, unlike a rename, cannot replace what another has put there; and the name
 * appears with the whole text behind it or not at all, wherever the power fails.
 */
export function keepSecret(path: string, generate: () => string): Kept {
  const kept = readKept(path);
  if (kept !== undefined) return { text: kept, origin: 'kept' };

  const text = generate();
  const draft = `${path}.${randomBytes(6).toString('hex')}.new`;
  try {
    writeDurably(draft, `${text}\n`);
    const isFirst = link(draft, path);
    unlinkSync(draft);
    syncDirectory(dirname(path));
    if (isFirst) return { text, origin: 'generated' };
  } catch (cause) {
    throw new GatewayError('system', 'secret_not_kept', `${path} cannot be written`, { cause });
  }
  const theirs = readKept(path);
  if (theirs !== undefined) return { text: theirs, origin: 'kept' };
  throw new GatewayError('system', 'secret_not_kept', `${path} was removed while it was being made`);
}

function writeDurably(path: string, content: string): void {
  const descriptor = openSync(path, 'wx', 0o600);
  try {
    writeSync(descriptor, content);
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}

/** Whether the name was free. */
function link(from: string, to: string): boolean {
  try {
    linkSync(from, to);
    return true;
  } catch (error) {
    if (codeOf(error) === 'EEXIST') return false;
    throw error;
  }
}

/** Makes the new name itself survive a power cut. */
function syncDirectory(path: string): void {
  const descriptor = openSync(path, constants.O_RDONLY);
  try {
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}

function readKept(path: string): string | undefined {
  const descriptor = openKept(path);
  if (descriptor === undefined) return undefined;
  const { mode, uid } = fstatSync(descriptor);
  const text = readLimited(descriptor);
  const refuse = (reason: string, hint: string) =>
    new GatewayError('config', 'secret_file_unsafe', `${path} ${reason}`, { hint });
  if ((mode & 0o077) !== 0) throw refuse('can be read by other users', `Run: chmod 600 '${path}'`);
  const own = process.getuid?.();
  if (own !== undefined && uid !== own) throw refuse('belongs to another user', `Run: chown ${own} '${path}'`);
  if (!text) throw refuse('holds no secret', 'Restore it from a backup; only where none was ever in use, remove it.');
  return text;
}

function openKept(path: string): number | undefined {
  try {
    return openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW);
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined;
    const message = codeOf(error) === 'ELOOP' ? `${path} is a symbolic link` : `${path}: ${whyUnreadable(error)}`;
    throw new GatewayError('config', 'secret_file_unsafe', message, { cause: error });
  }
}

const codeOf = (error: unknown): unknown => (error instanceof Error && 'code' in error ? error.code : undefined);
