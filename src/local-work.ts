import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { type FileHandle, open } from 'node:fs/promises';
import { Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { LocalContext } from './cli/local-command.ts';
import { clientVersion } from './cli/version.ts';
import { settingFlags } from './commands.ts';
import type { Settings } from './config/load.ts';
import { SettingsSource } from './config/source.ts';
import { type Database, openDatabase } from './database.ts';
import { dump, rehearse, restore } from './db/dump.ts';
import { runningEmbedded } from './db/embedded.ts';
import { migrate, migrationPlan, requireCurrent } from './db/migrate.ts';
import { type ErrorKind, Exit, GatewayError } from './kernel/errors.ts';
import { createLogger } from './kernel/log.ts';
import { createPartitions } from './metering/partitions.ts';
import type { Runtime } from './runtime.ts';
import { serve } from './serve.ts';

/** Settings as a local command sees them: its own flags, then those of the whole program, then everything else. */
export async function settingsOf(context: LocalContext, runtime: Runtime): Promise<Settings> {
  return (await sourceOf(context, runtime)).read();
}

async function sourceOf({ options, global, target }: LocalContext, runtime: Runtime): Promise<SettingsSource> {
  const chosen = global.databaseUrl === undefined ? undefined : await target();
  const resolvedFlags = {
    'state-dir': global.stateDir,
    'database-url': chosen?.mode === 'direct' ? chosen.databaseUrl : undefined,
  };
  return new SettingsSource({
    ...runtime,
    argvFlags: settingFlags(options),
    resolvedFlags,
    file: global.config,
  });
}

async function openFor(context: LocalContext, runtime: Runtime): Promise<Database> {
  return openDatabase(await settingsOf(context, runtime), 'gatewayctl-cli');
}

/** Where sysexits.h has another number for a daemon that cannot start than the table has for a command. */
const statusAtStart: Partial<Record<ErrorKind, number>> = {
  unavailable: Exit.noDatabase,
  unauthenticated: Exit.noPermission,
  forbidden: Exit.noPermission,
  notFound: Exit.config,
};

export async function runServe(context: LocalContext, runtime: Runtime): Promise<number> {
  const source = await sourceOf(context, runtime);
  const settings = source.read();
  const { log, redact, setLevel } = createLogger({
    level: settings.logLevel,
    format: settings.logFormat,
    journalStream: runtime.env['JOURNAL_STREAM'],
    ...(runtime.logs && { stream: runtime.logs }),
  });
  for (const secret of settings.secrets) redact(secret);
  try {
    await serve({ settings, source, runtime, log, redact, setLevel, version: clientVersion() });
    return Exit.ok;
  } catch (thrown) {
    // systemd tells a lost database (restart) from a wrong setting (do not) by the status.
    const status = thrown instanceof GatewayError ? statusAtStart[thrown.kind] : undefined;
    if (status === undefined || !(thrown instanceof GatewayError)) throw thrown;
    log('error', thrown.message, { hint: thrown.hint, error: thrown.cause });
    return status;
  }
}

export const isDryRun = ({ options }: LocalContext): boolean => options['dry-run'] === true;

export async function migrateUp(context: LocalContext, runtime: Runtime): Promise<void> {
  if (isDryRun(context)) return showPlan(context, runtime);
  await using database = await openFor(context, runtime);
  const { unknown } = await database.status();
  if (unknown.length > 0) requireCurrent(await database.status());
  const done = await migrate(database.orm, database.url);
  context.io.err(done.length === 0 ? 'Nothing to do: the schema is up to date.\n' : `Applied ${done.join(', ')}.\n`);
}

export async function showStatus(context: LocalContext, runtime: Runtime): Promise<number> {
  await using database = await openFor(context, runtime);
  const { applied, pending, unknown } = await database.status();
  const rows = [
    ...applied.map((name) => [name, unknown.includes(name) ? 'unknown' : 'applied']),
    ...pending.map((name) => [name, 'pending']),
  ];
  if (context.format === 'json') context.io.out(`${JSON.stringify({ applied, pending, unknown }, null, 2)}\n`);
  else for (const row of rows) context.io.out(`${row.join('\t')}\n`);
  return pending.length + unknown.length === 0 ? Exit.ok : Exit.no;
}

export async function showPlan(context: LocalContext, runtime: Runtime): Promise<void> {
  await using database = await openFor(context, runtime);
  for (const statement of migrationPlan(database.orm, await database.status())) context.io.out(`${statement};\n`);
}

export async function showUrl(context: LocalContext, runtime: Runtime): Promise<void> {
  const settings = await settingsOf(context, runtime);
  if (settings.databaseUrl !== undefined) {
    const isRevealed = context.options['reveal'] === true;
    const shown = isRevealed
      ? settings.databaseUrl
      : settings.databaseUrl.replace(/(:\/\/[^/?#@:]*:)[^/?#@]+@/, '$1…@');
    return context.io.out(`${shown}\n`);
  }
  const url = await runningEmbedded(settings.stateDir);
  if (url === undefined) {
    throw new GatewayError('no', 'database_not_running', 'The embedded PostgreSQL is not running', {
      hint: 'It runs while the daemon does: gatewayctl serve. For a look without it: gatewayctl db psql',
    });
  }
  return context.io.out(`${url}\n`);
}

export async function runPsql(context: LocalContext, runtime: Runtime): Promise<number> {
  await using database = await openFor(context, runtime);
  // The address goes by the environment: on the command line every user could read its password.
  const env = { ...runtime.env, ...connectionVariables(database.url) };
  const child = spawn('psql', [...context.args], { stdio: 'inherit', env });
  const failed = once(child, 'error').then(([cause]) => {
    throw new GatewayError('system', 'psql_missing', 'psql cannot be started', {
      hint: 'Install it: apt-get install postgresql-client',
      cause,
    });
  });
  const ended = once(child, 'exit').then(([status]) => (typeof status === 'number' ? status : Exit.no));
  // Awaited here: the database is held until psql has ended.
  return await Promise.race([ended, failed]);
}

function connectionVariables(url: string): Record<string, string> {
  const { hostname, port, username, password, pathname, searchParams } = new URL(
    url.replace(/^(postgres(?:ql)?:\/\/(?:[^@/]*@)?)\//, '$1localhost/'),
  );
  const variables = {
    PGHOST: searchParams.get('host') ?? decodeURIComponent(hostname),
    PGPORT: searchParams.get('port') ?? port,
    PGUSER: decodeURIComponent(username),
    PGPASSWORD: decodeURIComponent(password),
    PGDATABASE: decodeURIComponent(pathname.slice(1)),
    PGSSLMODE: searchParams.get('sslmode') ?? '',
  };
  return Object.fromEntries(Object.entries(variables).filter(([, value]) => value !== ''));
}

export async function dumpDatabase(context: LocalContext, runtime: Runtime): Promise<void> {
  const [path = '-'] = context.args;
  // First of all: whoever cannot write need not be told so after a long read.
  await using file = path === '-' ? undefined : await createNew(path);
  const out = file?.createWriteStream() ?? standardOutput(context);
  await using database = await openFor(context, runtime);
  const status = await database.status();
  requireCurrent(status);
  await pipeline(dump(database.pool, status.applied), out);
}

async function createNew(path: string): Promise<FileHandle> {
  try {
    return await open(path, 'wx', 0o600);
  } catch (cause) {
    const isThere = cause instanceof Error && 'code' in cause && cause.code === 'EEXIST';
    throw new GatewayError(
      'cannotCreate',
      'cannot_write',
      isThere ? `${path} is there already` : `Cannot write ${path}`,
      {
        hint: isThere
          ? 'A dump never overwrites a file; choose a new name.'
          : 'Choose a directory that is there and yours.',
        cause,
      },
    );
  }
}

function standardOutput({ io }: LocalContext): Writable {
  return new Writable({
    decodeStrings: false,
    write: (chunk: string, _, done) => {
      io.out(chunk);
      done();
    },
  });
}

export async function restoreDatabase(context: LocalContext, runtime: Runtime): Promise<void> {
  const [path = '-'] = context.args;
  await using file = path === '-' ? undefined : await openDump(path);
  const source = file?.createReadStream() ?? context.io.stdin;
  await using database = await openFor(context, runtime);
  const { pool } = database;
  if (isDryRun(context)) {
    const { applied, pending } = await database.status();
    const count = await rehearse(source, {
      pool: applied.length === 0 ? undefined : pool,
      migrations: [...applied, ...pending],
    });
    context.io.err(`Nothing was changed. It would be: ${count} rows restored.\n`);
    return;
  }
  await migrate(database.orm, database.url);
  const { applied: migrations } = await database.status();
  const createMonths = (months: readonly Date[]) => createPartitions(pool, months);
  const count = await restore(source, { pool, migrations, createMonths });
  context.io.err(`${count} rows restored.\n`);
}

const openDump = (path: string): Promise<FileHandle> =>
  open(path).catch((cause: unknown) => {
    throw new GatewayError('notFound', 'file_not_found', `Cannot read ${path}`, { cause });
  });
