import type { Server } from 'node:http';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { App, type Configured } from './app.ts';
import { Refusals } from './audit/refusals.ts';
import { refuseMasterKey, resolveKeyRing } from './config/encryption-key.ts';
import type { Settings } from './config/load.ts';
import type { SettingsSource } from './config/source.ts';
import { BatchBilling } from './batch-billing.ts';
import { builtinMock } from './config/litellm.ts';
import { resolveMasterKey } from './config/master-key.ts';
import { prepareStateDir } from './config/state-dir.ts';
import { createDataPlane } from './data-plane.ts';
import { openDatabase, type Database } from './database.ts';
import { createDaemon } from './daemon/daemon.ts';
import { descriptorLimit, withinDescriptors } from './daemon/descriptors.ts';
import { close, endConnections, listen, listenOnSocket, urlOf } from './daemon/listen.ts';
import { migrate, requireCurrent } from './db/migrate.ts';
import { auditedName } from './db/work.ts';
import { toMilliseconds } from './kernel/duration.ts';
import { createVault } from './kernel/encryption.ts';
import { Exit, GatewayError } from './kernel/errors.ts';
import { requireKnownOperations } from './known-operations.ts';
import type { Log, LogLevel } from './kernel/log.ts';
import { findForRotation, nextRotationDue } from './keys/key.queries.ts';
import { KeyRotation } from './keys/key.rotation.ts';
import type { Deployment } from './models/deployment.ts';
import { limitsLine } from './metering/limits-line.ts';
import { operations } from './operations.ts';
import { provision } from './provision.ts';
import { Reloader } from './reload.ts';
import { readPackaged, type Runtime } from './runtime.ts';

export interface ServeParts {
  readonly settings: Settings;
  readonly runtime: Runtime;
  readonly log: Log;
  /** Where the settings come from. */
  readonly source: SettingsSource;
  readonly setLevel: (level: LogLevel) => void;
  /** Blots a secret out of whatever is logged from now on. */
  readonly redact: (secret: string) => void;
  readonly version: string;
}

/** The deployments of the configuration; where there is no file, a model to try things with. */
export function configuredDeployments({ deployments, configFile }: Settings): readonly Deployment[] {
  return configFile === undefined ? [builtinMock()] : deployments;
}

/** What the configuration says of keys. */
export const keyRules = ({ keySettings, keyAliasFormat, rotationSecretsDir, rotationGrace }: Settings) => ({
  ...keySettings,
  hasAliasFormat: keyAliasFormat,
  canRotate: rotationSecretsDir !== undefined,
  rotationGrace,
});

/** What operations go by that the configuration says. */
const configuredOf = (settings: Settings): Configured => ({
  configured: configuredDeployments(settings),
  passThroughs: settings.passThroughs,
  keyRules: keyRules(settings),
  userDefaults: settings.userSettings,
});

/** As many connections and calls as this process has descriptors for. Told once: they are limits of the process, too. */
function withinLimits(settings: Settings, log: Log): Settings {
  const { maxConnections: connections, maxCalls: calls } = settings;
  const limit = descriptorLimit();
  const { needed, maxConnections, maxCalls } = withinDescriptors(settings, limit);
  if (maxConnections === connections && maxCalls === calls) return settings;
  log(
    'warn',
    `This process may have ${limit} open files, and max_connections and max_calls allow for ${needed}: it takes on fewer of both. ` +
      'Raise LimitNOFILE= of its unit, `ulimit -n` or the container’s nofile, or lower the two',
    { max_connections: maxConnections, max_calls: maxCalls },
  );
  return { ...settings, maxConnections, maxCalls };
}

const clock = () => new Date();

/**
 * Runs the daemon until it is told to stop: everything is opened in the order in which it depends on each other, and
 * closed the other way round.
 */
export async function serve(parts: ServeParts): Promise<void> {
  const { runtime, log, version } = parts;
  const settings = withinLimits(parts.settings, log);
  requireKnownOperations(settings.jwt);
  const stopped = Promise.withResolvers<string>();
  watchSignals(runtime, log, stopped.resolve);
  const faults = watchFaults(runtime, log, stopped.resolve);
  const reloads = watchHangups(runtime);
  const print = await parts.source.print();

  await using opened = new AsyncDisposableStack();
  prepareStateDir(settings.stateDir);
  const database = opened.use(await openDatabase(settings, 'gatewayctl-serve'));
  const place = { stateDir: settings.stateDir, embedded: database.isEmbedded };
  const masterKey = resolveMasterKey(settings, place);
  const encryptionKeys = resolveKeyRing(settings, place);
  if (encryptionKeys) refuseMasterKey(encryptionKeys, masterKey.secret);
  const vault = createVault(encryptionKeys);
  const logging = {
    callbackVault: createVault(encryptionKeys, 'callback'),
    bodyVault: createVault(encryptionKeys, 'logged-body'),
  };
  await prepareSchema(database, settings, log);

  const configured = configuredDeployments(settings);
  const plane = opened.use(
    await createDataPlane({
      ...parts,
      settings,
      database,
      masterKey: masterKey.secret,
      sharedSecret: encryptionKeys?.current ?? masterKey.secret,
      otherSecrets: encryptionKeys?.others ?? [],
      vault,
      ...logging,
      configured,
      provision: (wanted) => provision(app, wanted),
    }),
  );
  const auditVault = createVault(encryptionKeys, 'audit-mac');
  const app: App = new App({
    orm: database.orm,
    poolSize: database.poolSize,
    now: clock,
    vault,
    auditVault,
    ...logging,
    callbacks: plane.callbacks.reports,
    alertTest: plane.alertTest,
    prices: () => Promise.resolve(plane.prices),
    ...configuredOf(settings),
    reload: () => reloader.reload(),
    explainer: plane.explainer,
    tokenTest: plane.tokenTest,
    responseCache: plane.responseCache,
    journal: plane.journal,
    live: plane.live,
    onChange: plane.follow,
    reachability: database.reachability,
  });
  if (settings.rotationSecretsDir !== undefined) {
    opened.use(rotateKeys({ app, database, log: plane.log, directory: settings.rotationSecretsDir }));
  }
  const billing = opened.use(
    new BatchBilling({
      app,
      pool: database.pool,
      output: plane.proxy.batchOutput,
      deployments: plane.batches.deployments,
      prices: plane.prices,
      log: plane.log,
      everyMs: Math.max(1_000, toMilliseconds(settings.batchPollInterval)),
    }),
  );
  plane.batches.onEnd = () => billing.wake();
  const refusals = opened.use(
    new Refusals({
      now: clock,
      nameOf: auditedName,
      write: (entries) => app.keep(entries),
      onError: (error) => plane.log('warn', 'A refusal is missing in the audit log', { error }),
    }),
  );
  const apply = (next: Settings): void => {
    parts.setLevel(next.logLevel);
    plane.reconfigure({ settings: next, configured: configuredDeployments(next) });
    app.reconfigure(configuredOf(next));
  };
  const reloader = opened.use(new Reloader({ ...parts, apply, log: plane.log, models: plane.models }, print));
  reloads(reloader.request);
  let isDraining = false;
  const answers = answering(database);
  const daemon = createDaemon({
    app,
    operations,
    authenticate: plane.authenticate,
    addressOf: plane.addressOf,
    adminAllowedIps: settings.adminAllowedIps,
    trustedProxies: settings.trustedProxies,
    maxConnections: settings.maxConnections,
    keepAliveMs: toMilliseconds(settings.keepAliveTimeout),
    refusals,
    credentialOf: plane.credentialOf,
    proxy: plane.proxy,
    follow: plane.live.follow,
    openapi: readPackaged('openapi.json'),
    log: plane.log,
    version,
    isDraining: () => isDraining,
    limits: plane.limits,
    database: async () => !database.reachability.isAway && answers(),
  });

  const socketPath = join(settings.stateDir, 'admin.sock');
  const whole = { hasAdmin: true, hasModels: true };
  const local = await listenOnSocket(daemon.createServer({ ...whole, isLocal: true }), socketPath, runtime);
  opened.defer(() => endConnections(local, close(local)));
  const { adminListen } = settings;
  if (adminListen) {
    const admin = await listen(daemon.createServer({ hasAdmin: true, hasModels: false }), adminListen);
    opened.defer(() => endConnections(admin, close(admin)));
    plane.ownPlaces.addUrl(urlOf(admin));
    log('info', `The admin API has a listener of its own at ${urlOf(admin)}`);
  }
  const server = await listen(daemon.createServer({ hasAdmin: !adminListen, hasModels: true }), {
    ...settings,
    // The default port gives way to the next, so that two trials can run; one that somebody chose does not.
    lastPort: settings.sources.port === 'default' ? settings.port + 10 : settings.port,
  });
  plane.ownPlaces.addUrl(urlOf(server));
  announceStart(parts, { server, socketPath, masterKeyPath: masterKey.path, configured });

  log('info', `${await stopped.promise}: stopping; running requests may finish`, { in_flight: plane.proxy.inFlight });
  isDraining = true;
  const closing = close(server);
  await plane.proxy.drain(faults.length > 0 ? faultDrainMs : toMilliseconds(settings.drainTimeout));
  plane.live.close();
  await endConnections(server, closing);
  const [cause] = faults;
  if (faults.length > 0) throw new GatewayError('internal', 'internal_error', 'A fault ended the daemon', { cause });
}

/** Rotates keys that are due in the name of nobody but the daemon. */
function rotateKeys({ app, database: { pool }, log, directory }: RotationPlace): KeyRotation {
  const actor = { type: 'operator', name: 'key-rotation', via: 'daemon' } as const;
  return new KeyRotation({
    directory,
    log,
    rotate: (keep) => app.act(actor, ({ keys }) => keys.rotateDue(keep)),
    find: (id) => findForRotation(pool, id),
    nextDue: () => nextRotationDue(pool),
  });
}

interface RotationPlace {
  readonly app: App;
  readonly database: Database;
  readonly log: Log;
  readonly directory: string;
}

/** The first signal asks, the second insists. What is settled is in the journal either way. */
function watchSignals({ onSignal, abort }: Runtime, log: Log, stop: (signal: string) => void): void {
  let count = 0;
  onSignal((signal) => {
    stop(signal);
    if (++count < 2) return;
    log('warn', `${signal} again: ending at once`, {});
    abort(128 + (signal === 'SIGINT' ? 2 : 15));
  });
}

/** Without somebody who listens SIGHUP ends a process. One that comes before the daemon is made is kept for it. */
function watchHangups({ onHangup }: Runtime): (reload: () => void) => void {
  let isAsked = false;
  let tell = (): void => {
    isAsked = true;
  };
  onHangup(() => tell());
  return (reload) => {
    tell = reload;
    if (isAsked) reload();
  };
}

/** After a fault nobody knows what state calls are in: they get a moment, and the process a little longer to end in order. */
const faultDrainMs = 5_000;
const faultEndMs = 30_000;

/**
 * The last resort: whatever nobody caught ends the daemon, in order where that is still possible, so that the journal is
 * closed and what is settled gets booked. A supervisor then starts it again.
 */
function watchFaults({ onFault, abort }: Runtime, log: Log, stop: (reason: string) => void): readonly unknown[] {
  const faults: unknown[] = [];
  onFault((error) => {
    log('error', 'A fault that nobody caught', { error });
    if (faults.push(error) > 1) return;
    stop('A fault that nobody caught');
    setTimeout(() => abort(Exit.bug), faultEndMs).unref();
  });
  return faults;
}

async function prepareSchema(database: Database, { migrate: mayMigrate }: Settings, log: Log): Promise<void> {
  const status = await database.status();
  if (status.unknown.length > 0 || !mayMigrate) requireCurrent(status);
  if (status.pending.length === 0) return;
  const done = await migrate(database.orm, database.url);
  if (done.length > 0) log('info', `Database schema: applied ${done.join(', ')}`);
}

/** Asked at most once a second: a prober must not be able to keep the database busy. */
function answering({ pool }: Database): () => Promise<boolean> {
  let asked = 0;
  let answer: Promise<boolean> = Promise.resolve(false);
  return () => {
    const now = performance.now();
    if (asked === 0 || now - asked > 1_000) {
      asked = now;
      const silence = wait(1_000, false, { ref: false });
      answer = Promise.race([silence, pool.query('select 1').then(() => true)]).catch(() => false);
    }
    return answer;
  };
}

interface Started {
  readonly server: Server;
  readonly socketPath: string;
  readonly masterKeyPath: string | undefined;
  readonly configured: readonly Deployment[];
}

function announceStart(
  { settings, log, version }: ServeParts,
  { server, socketPath, masterKeyPath, configured }: Started,
): void {
  for (const { where, key, message } of settings.warnings) log('warn', `${where}: ${key}: ${message}`);
  const url = urlOf(server);
  const port = Number(new URL(url).port);
  if (settings.port !== 0 && port !== settings.port) log('warn', `Port ${settings.port} is taken; using ${port}`);
  if (masterKeyPath) log('info', `The master key is in ${masterKeyPath}`);
  log('info', `gatewayctl ${version} listens on ${url}`, {
    admin_socket: socketPath,
    models: configured.map(({ name }) => name).join(', ') || 'none configured',
  });
  log('info', limitsLine(settings));
}
