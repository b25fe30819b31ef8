import { reportsOf } from './callbacks/callback-settings.ts';
import { join } from 'node:path';
import { App, type Services } from './app.ts';
import type { Connection, ConnectOptions } from './cli/connection.ts';
import { describeTarget, type Target } from './cli/target.ts';
import { resolveKeyRing } from './config/encryption-key.ts';
import { loadSettings } from './config/load.ts';
import { openDatabase } from './database.ts';
import { runningEmbedded } from './db/embedded.ts';
import { migrate, requireCurrent } from './db/migrate.ts';
import { lazyExplainer, lazyPrices, lazyResponseCache, lazyTokenTest } from './lazy-explainer.ts';
import { createVault } from './kernel/encryption.ts';
import { GatewayError } from './kernel/errors.ts';
import { journalAtRest } from './metering/journal-at-rest.ts';
import type { Runtime } from './runtime.ts';
import { configuredDeployments, keyRules } from './serve.ts';

/** The gateway in this process, straight on the database: the same code that a daemon runs. */
export async function openDirect(
  target: Exclude<Target, { mode: 'server' }>,
  runtime: Runtime,
  { as, isPassive, idempotencyKey, onReplay }: ConnectOptions,
): Promise<Connection<Services>> {
  const settings = loadSettings({
    ...runtime,
    file: target.configFile,
    resolvedFlags: {
      'state-dir': target.stateDir,
      'database-url': target.mode === 'direct' ? target.databaseUrl : undefined,
    },
  });
  if (isPassive && settings.databaseUrl === undefined && !(await runningEmbedded(settings.stateDir))) {
    throw new GatewayError('unavailable', 'database_not_running', 'The embedded PostgreSQL is not running');
  }
  await using opened = new AsyncDisposableStack();
  const database = opened.use(await openDatabase({ ...settings, dbPoolSize: 2 }, 'gatewayctl-cli'));
  const status = await database.status();
  // The embedded database is ours alone, so its first user may make its tables; an operator's is changed when told to.
  if (database.isEmbedded && status.unknown.length === 0 && status.pending.length > 0)
    await migrate(database.orm, database.url);
  else requireCurrent(status);
  const place = { stateDir: settings.stateDir, embedded: database.isEmbedded };
  const encryptionKeys = resolveKeyRing(settings, place);
  const vault = createVault(encryptionKeys);
  const surroundings = { pool: database.pool, settings, vault, env: runtime.env };
  const app = new App({
    orm: database.orm,
    poolSize: database.poolSize,
    now: () => new Date(),
    vault,
    auditVault: createVault(encryptionKeys, 'audit-mac'),
    callbackVault: createVault(encryptionKeys, 'callback'),
    bodyVault: createVault(encryptionKeys, 'logged-body'),
    callbacks: () => reportsOf(settings.callbacks),
    configured: configuredDeployments(settings),
    passThroughs: settings.passThroughs,
    prices: lazyPrices(settings),
    keyRules: keyRules(settings),
    userDefaults: settings.userSettings,
    explainer: lazyExplainer(surroundings),
    tokenTest: lazyTokenTest(surroundings),
    responseCache: lazyResponseCache(settings),
    journal: () => journalAtRest(join(settings.stateDir, 'journal.db')),
  });
  const actor = { type: 'operator', name: runtime.operator, via: 'cli-direct' } as const;
  const kept = opened.move();
  return {
    invoke: (operation, input) => app.run(operation, input, { actor, changedBy: as, idempotencyKey, onReplay }),
    describe: database.isEmbedded ? `embedded database · ${settings.stateDir}` : describeTarget(target),
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}
