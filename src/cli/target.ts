import { GatewayError } from '../kernel/errors.ts';
import { looksSecret } from '../kernel/mask.ts';
import type { Environment } from './io.ts';
import type { Sources } from './sources.ts';
import { usage } from './usage.ts';

/** Which way a command reaches the gateway. */
export type Target =
  /** An admin API: `http(s)://…` with a key, or `unix:///…` without. */
  | { readonly mode: 'server'; readonly url: string; readonly key: string | undefined }
  /** Straight to a database; without a URL to the embedded one. */
  | {
      readonly mode: 'direct';
      readonly databaseUrl: string | undefined;
      readonly stateDir: string | undefined;
      readonly configFile?: string | undefined;
    }
  /** The daemon of this machine when one listens in the state directory, otherwise its embedded database. */
  | { readonly mode: 'local'; readonly stateDir: string | undefined; readonly configFile?: string | undefined };

/** The global flags that say where to. */
export interface TargetFlags {
  readonly server?: string | undefined;
  readonly databaseUrl?: string | undefined;
  readonly direct?: boolean | undefined;
  readonly stateDir?: string | undefined;
  readonly config?: string | undefined;
  readonly keyFile?: string | undefined;
  readonly adminKeyFile?: string | undefined;
  readonly adminKeyStdin?: boolean | undefined;
  readonly insecureArgv?: boolean | undefined;
}

const set = (env: Environment, name: string): string | undefined => env[name] || undefined;

/**
 * Flags, then the environment, then the machine's own gateway. A flag silently beats the environment; two ways of the
 * same rank are refused, because guessing wrong would change the wrong gateway.
 */
export async function chooseTarget(flags: TargetFlags, env: Environment, sources: Sources): Promise<Target> {
  const target = await whereTo(flags, env, sources);
  if (flags.config === undefined) return target;
  if (target.mode !== 'server') return { ...target, configFile: flags.config };
  throw usage(
    'ambiguous_target',
    `--config is not for ${target.url}: a daemon has a configuration of its own.`,
    'Leave --config out, or say --direct.',
  );
}

async function whereTo(flags: TargetFlags, env: Environment, sources: Sources): Promise<Target> {
  const stateDir = flags.stateDir ?? set(env, 'GATEWAYCTL_STATE_DIR');
  const byFlag = [
    flags.server === undefined ? [] : ['--server'],
    flags.databaseUrl !== undefined ? ['--database-url'] : flags.direct ? ['--direct'] : [],
  ].flat();
  refuseBoth(byFlag);
  if (flags.server !== undefined) {
    if (flags.stateDir !== undefined) refuseBoth(['--server', '--state-dir']);
    return server(flags.server, '--server', flags, env, sources);
  }
  if (flags.databaseUrl !== undefined) {
    return { mode: 'direct', databaseUrl: await databaseUrl(flags, flags.databaseUrl, sources), stateDir };
  }
  if (flags.direct) {
    const url =
      flags.stateDir === undefined ? (set(env, 'GATEWAYCTL_DATABASE_URL') ?? set(env, 'DATABASE_URL')) : undefined;
    return {
      mode: 'direct',
      databaseUrl: url && (await dereference(url, 'GATEWAYCTL_DATABASE_URL', sources)),
      stateDir,
    };
  }
  if (flags.stateDir !== undefined) return { mode: 'local', stateDir };
  return fromEnvironment(flags, env, stateDir, sources);
}

async function fromEnvironment(
  flags: TargetFlags,
  env: Environment,
  stateDir: string | undefined,
  sources: Sources,
): Promise<Target> {
  const own = ['GATEWAYCTL_SERVER', 'GATEWAYCTL_DATABASE_URL'].filter((name) => set(env, name));
  if (own.length > 1) {
    throw usage(
      'ambiguous_target',
      `both ${own.join(' and ')} are set; which one is meant?`,
      'Unset one, or say --server or --direct.',
    );
  }
  // The second pair are names that LiteLLM's tools and half the world's hosting set: used only when nothing else is.
  for (const name of ['GATEWAYCTL_SERVER', 'GATEWAYCTL_DATABASE_URL', 'LITELLM_PROXY_URL', 'DATABASE_URL']) {
    const value = set(env, name);
    if (value === undefined) continue;
    if (!name.endsWith('DATABASE_URL')) return server(value, name, flags, env, sources);
    return { mode: 'direct', databaseUrl: await dereference(value, name, sources), stateDir };
  }
  return { mode: 'local', stateDir };
}

function refuseBoth(names: readonly string[]): void {
  if (names.length > 1) {
    throw usage(
      'ambiguous_target',
      `${names.join(' and ')} name two places; which one is meant?`,
      `Leave one of them out.`,
    );
  }
}

async function server(
  url: string,
  from: string,
  flags: TargetFlags,
  env: Environment,
  sources: Sources,
): Promise<Target> {
  const parsed = URL.canParse(url) ? new URL(url) : undefined;
  if (!parsed || !['http:', 'https:', 'unix:'].includes(parsed.protocol)) {
    throw usage(
      'invalid_server',
      `${from}: "${url}" is not an address. Write https://gw.example.com or unix:///run/gatewayctl/admin.sock.`,
    );
  }
  if (parsed.username || parsed.password) {
    throw usage('invalid_server', `${from}: the address holds a user or password, which the gateway does not use.`);
  }
  const key = await credential(flags, env, sources);
  if (key === undefined && parsed.protocol !== 'unix:') {
    throw new GatewayError('unauthenticated', 'no_credential', `no key for ${parsed.origin}.`, {
      hint: 'Give one:  GATEWAYCTL_KEY_FILE=/path/to/key   or --admin-key-file <path>, --admin-key-stdin, GATEWAYCTL_KEY',
    });
  }
  return { mode: 'server', url, key };
}

/** The admin credential: never from argv, which every user of the machine can read. */
async function credential(flags: TargetFlags, env: Environment, sources: Sources): Promise<string | undefined> {
  const given = [
    flags.adminKeyStdin ? ['--admin-key-stdin'] : [],
    flags.adminKeyFile === undefined ? [] : ['--admin-key-file'],
    flags.keyFile === undefined ? [] : ['--key-file'],
  ].flat();
  if (given.length > 1) throw usage('ambiguous_key', `${given.join(' and ')} both give a key; which one is meant?`);
  if (flags.adminKeyStdin) return oneLine(await sources.stdin('--admin-key-stdin'), '--admin-key-stdin');
  const path = flags.adminKeyFile ?? flags.keyFile;
  if (path !== undefined) return oneLine(await sources.file(path, '--admin-key-file'), path);

  const own = set(env, 'GATEWAYCTL_KEY');
  const file = set(env, 'GATEWAYCTL_KEY_FILE');
  if (own && file) {
    throw usage(
      'ambiguous_key',
      'both GATEWAYCTL_KEY and GATEWAYCTL_KEY_FILE are set; which one is meant?',
      'Unset one.',
    );
  }
  if (file) return oneLine(await sources.file(file, 'GATEWAYCTL_KEY_FILE'), 'GATEWAYCTL_KEY_FILE');
  return own ?? set(env, 'LITELLM_PROXY_API_KEY');
}

/** A key goes into a header: more than one line would be somebody else's file, or another header. */
export function oneLine(text: string, from: string): string {
  const line = text.trim();
  if (line === '' || /[\s\p{Cc}]/u.test(line)) throw usage('invalid_key', `${from} does not hold one key on one line.`);
  return line;
}

async function databaseUrl(flags: TargetFlags, given: string, sources: Sources): Promise<string> {
  if (hasPassword(given) && !flags.insecureArgv) throw passwordInArgv();
  return dereference(given, '--database-url', sources);
}

export const passwordInArgv = (): GatewayError =>
  usage(
    'secret_in_argv',
    '--database-url holds a password. On the command line it is visible to other users and kept in your history.',
    'Give it in a file:  --database-url @/path/to/url\nOn standard input:  --database-url -\nOr in the environment: GATEWAYCTL_DATABASE_URL',
  );

/** A URL with a password, also where libpq's parameters hide one. */
export const hasPassword = (url: string): boolean => looksSecret(url) || /[?&](ssl)?password=/i.test(url);

async function dereference(given: string, from: string, sources: Sources): Promise<string> {
  const url = await referredTo(given, from, sources);
  if (!/^postgres(ql)?:\/\//.test(url)) {
    throw usage('invalid_database_url', `${from}: that is not a PostgreSQL address. Write postgres://host/database.`);
  }
  return url;
}

async function referredTo(given: string, from: string, sources: Sources): Promise<string> {
  if (given === '-') return (await sources.stdin(from)).trim();
  return given.startsWith('@') ? (await sources.file(given.slice(1), from)).trim() : given;
}

/** A target in one phrase, without its secrets: for `--verbose` and the line above a change. */
export function describeTarget(target: Target): string {
  if (target.mode === 'server') return target.url;
  if (target.mode === 'local') return target.stateDir ? `local · ${target.stateDir}` : 'local';
  return `direct · ${target.databaseUrl ? withoutPassword(target.databaseUrl) : 'embedded database'}`;
}

export function withoutPassword(url: string): string {
  if (!URL.canParse(url)) return 'database';
  const { protocol, username, host, pathname } = new URL(url);
  return `${protocol}//${username ? `${username}@` : ''}${host}${pathname}`;
}
