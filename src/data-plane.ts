import type { IncomingMessage } from 'node:http';
import { join } from 'node:path';
import { actorOf } from './access/actor-of.ts';
import { Authenticator } from './access/authenticate.ts';
import { addressOf } from './kernel/client.ts';
import { maskedCredential } from './access/credential.ts';
import { allows, requireCall } from './access/decide.ts';
import { requirePassed } from './access/pass-through.ts';
import { KeyCache } from './access/key-cache.ts';
import { Payers } from './access/payers.ts';
import type { Principal } from './access/principal.ts';
import type { Seed } from './access/principal-of.ts';
import type { Settings } from './config/load.ts';
import type { Database } from './database.ts';
import type { Provisioning } from './jwt/provisioning.ts';
import type { Change } from './db/notify.ts';
import { OutageLog } from './db/outage-log.ts';
import { openAlerts } from './open-alerts.ts';
import { openCallbacks } from './open-callbacks.ts';
import { OwnPlaces } from './egress/own-places.ts';
import { proxyVariables } from './egress/proxy-variables.ts';
import { Explainer } from './explain/explainer.ts';
import { gatewayBudget } from './gateway-budget.ts';
import { follower, listen, takesAway } from './following.ts';
import { toMilliseconds } from './kernel/duration.ts';
import type { Vault } from './kernel/encryption.ts';
import { GatewayError } from './kernel/errors.ts';
import { openLive } from './live/open.ts';
import { oneAtATime } from './kernel/one-at-a-time.ts';
import { countCompletion, estimatePromptTokens } from './metering/estimate.ts';
import { priceFileOf } from './metering/filed-prices.ts';
import { Metering } from './metering/metering.ts';
import type { Deployment } from './models/deployment.ts';
import { loadDeployments } from './models/model.queries.ts';
import { noTokens, openTokens } from './open-tokens.ts';
import { loadPassThroughs, loadProviderCredentials } from './passthroughs/passthrough.queries.ts';
import { PassThroughRoutes } from './passthrough/routes.ts';
import { openResponseCache } from './response-cache/open.ts';
import { readBatchSize } from './metering/batch.ts';
import { keptObjectsIn } from './models/kept-object.queries.ts';
import { createProxy, type Times } from './proxy/proxy.ts';
import { ResponseIds } from './proxy/response-ids.ts';
import { DeploymentTable } from './proxy/routing.ts';
import type { ServeParts } from './serve.ts';
import { translating } from './translation/translating.ts';

export interface DataPlaneParts extends ServeParts {
  readonly database: Database;
  readonly masterKey: string;
  /** Known to every daemon on this database and to nobody else: what entries in Redis and the ids of responses are signed with. */
  readonly sharedSecret: Buffer | string;
  /** What other daemons may have in its place, while the encryption key is being changed. */
  readonly otherSecrets: readonly Buffer[];
  readonly vault: Vault;
  /** Seals what teams' callbacks are given, and what was asked and answered. */
  readonly callbackVault: Vault;
  readonly bodyVault: Vault;
  readonly configured: readonly Deployment[];
  /** Makes what the settings want to be there for the bearer of a token. */
  readonly provision: (wanted: Provisioning) => Promise<void>;
}

/** Keys cached at most in one process: a snapshot is about 1 KiB. */
const KEYS_AT_MOST = 10_000;
/** Customers and tags, those that turned out to be unknown included. */
const PAYERS_AT_MOST = 20_000;
const NEGATIVE_TTL_MS = 5_000;
const DAY_MS = 86_400_000;

const now = () => new Date();

/** Everything a call for a model goes through, wired together, and kept up to date by what the database announces. */
export async function createDataPlane(parts: DataPlaneParts) {
  const { settings, runtime, version, database, masterKey, vault, configured } = parts;
  const outage = new OutageLog(parts.log);
  const { log } = outage;
  await using opened = new AsyncDisposableStack();

  const ownPlaces = new OwnPlaces();
  for (const url of [database.url, settings.redisUrl, settings.responseCache?.redisUrl])
    if (url !== undefined) ownPlaces.addUrl(url);
  let configuration: Configuration = { settings, configured };
  const observes = () => configuration.settings.enforce === 'observe';
  const alerts = opened.use(
    openAlerts({
      pool: database.pool,
      log,
      version,
      ownPlaces,
      settings: () => configuration.settings.alerts,
      isEnforced: () => !observes(),
    }),
  );
  const redis = settings.redisUrl === undefined ? undefined : opened.use(await joinRedis(settings.redisUrl, parts));
  const metering = opened.use(
    await Metering.open({
      journalPath: join(settings.stateDir, 'journal.db'),
      pool: database.pool,
      now,
      log,
      durability: settings.journalDurability,
      unpriced: settings.unpricedModels,
      redis: redis && { ask: redis.ask, isUp: redis.isUp, secret: parts.sharedSecret },
      withoutSharedStore: settings.withoutSharedStore,
      priceFile: priceFileOf(settings),
      watch: alerts.watch,
      observes,
      ...(settings.spendRetention && { retentionDays: toMilliseconds(settings.spendRetention) / DAY_MS }),
    }),
  );
  const cache = new KeyCache({
    ttl: toMilliseconds(settings.authCacheTtl),
    negativeTtl: NEGATIVE_TTL_MS,
    maxEntries: KEYS_AT_MOST,
    staleMax: toMilliseconds(settings.authStaleMax),
    shared: redis?.cache,
  });
  const seed: Seed = (entity, id, spent) => metering.seed(entity, id, spent);
  const payers = new Payers({
    pool: database.pool,
    reachability: database.reachability,
    ttl: toMilliseconds(settings.authCacheTtl),
    staleMax: toMilliseconds(settings.authStaleMax),
    maxEntries: PAYERS_AT_MOST,
    seed,
    gateway: gatewayBudget(settings),
  });
  const deployments = new DeploymentTable(configured, settings.routing.aliases);
  const explainer = new Explainer({
    pool: database.pool,
    now,
    seed,
    payers,
    deployments: () => deployments,
    gauge: () => metering.gauge,
    isLive: true,
    observes,
    bodyBytes: settings.bodyLimit,
    modelAccessStatus: settings.modelAccessStatus,
    budgetExceededStatus: settings.budgetExceededStatus,
  });
  const tokens =
    settings.jwt &&
    opened.use(
      await openTokens(settings.jwt, {
        pool: database.pool,
        log: parts.log,
        now,
        seed,
        explainer,
        provision: parts.provision,
      }),
    );
  void tokens?.warmUp();
  const { trustedProxies, allowedIps, masterKeyAllowedIps } = settings;
  const whereFrom = (request: IncomingMessage) => addressOf(request, trustedProxies);
  const authenticator = new Authenticator({
    addressOf: whereFrom,
    allowedIps,
    masterKeyAllowedIps,
    pool: database.pool,
    reachability: database.reachability,
    cache,
    masterKey,
    tokens: tokens?.verification,
    keyHeader: settings.keyHeaderName,
    now,
    seed,
  });
  let inDatabase: readonly Deployment[] = [];
  const showDeployments = () =>
    deployments.replace([...configuration.configured, ...inDatabase], configuration.settings.routing.aliases);
  const reload = oneAtATime(async () => {
    const { deployments: found, problems } = await loadDeployments(database.pool, vault, runtime.env);
    for (const { apiKey, secrets = {} } of found) {
      for (const secret of [apiKey, ...Object.values(secrets)]) if (secret !== undefined) parts.redact(secret);
    }
    for (const problem of problems) log('warn', `Left out ${problem}`);
    inDatabase = found;
    showDeployments();
  });
  const passThrough = new PassThroughRoutes({
    variable: (name) => configuration.settings.providerVariables[name],
    decide: (principal, call) => requirePassed(principal, call, settings.modelAccessStatus),
    isPriced: (deployment, model) =>
      metering.gauge.prices.forCall(deployment, model, { at: now(), callType: 'pass_through_endpoint' }).source !==
      'unpriced',
    keyHeader: settings.keyHeaderName,
  });
  let ways: Pick<Loaded, 'endpoints' | 'credentials'> = { endpoints: [], credentials: new Map() };
  const showPassThroughs = () =>
    passThrough.replace([...ways.endpoints, ...configuration.settings.passThroughs], ways.credentials);
  const reloadPassThroughs = oneAtATime(async () => {
    const [{ endpoints, problems }, kept] = await Promise.all([
      loadPassThroughs(database.pool, vault, runtime.env),
      loadProviderCredentials(database.pool, vault, runtime.env),
    ]);
    for (const { headers } of endpoints) for (const value of Object.values(headers)) parts.redact(value);
    for (const { apiKey } of kept.credentials.values()) if (apiKey !== undefined) parts.redact(apiKey);
    for (const problem of [...problems, ...kept.problems]) log('warn', `Left out ${problem}`);
    ways = { endpoints, credentials: kept.credentials };
    showPassThroughs();
  });
  const { responseCache: cached } = settings;
  const responseCache = cached && opened.use(await openResponseCache(cached, { log, secret: parts.sharedSecret }));
  opened.use(alerts.start(metering.daemon));
  const callbacks = opened.use(await openCallbacks(parts, { log, ownPlaces }));
  const reloadCallbacks = oneAtATime(() => callbacks.reload());
  const kept = { responseCache, cache, payers, reload, reloadPassThroughs, reloadCallbacks, metering, deployments };
  const follow = follower(parts, kept);
  const listener = listen(parts, { ...kept, follow, outage });
  await Promise.all([reload(), reloadPassThroughs(), reloadCallbacks()]);
  opened.use(listener);
  redis?.follow(follow);
  await listener.start();

  const scopeFor =
    ({ teamId }: Principal) =>
    (model: string) =>
      deployments.scopeOf(model, teamId);
  const authenticate = async (request: IncomingMessage, path: string) =>
    actorOf(await authenticator.authenticate(request, { mayBeStale: false }), path);
  const live = openLive({ now, version });
  const batches = { onEnd: () => {}, deployments: () => deployments.all };
  const proxy = opened.use(
    createProxy({
      ownPlaces,
      further: passThrough,
      onBooked: callbacks.tell,
      onEnded: live.tell,
      addressOf: whereFrom,
      authenticate: (request) => authenticator.authenticate(request, { mayBeStale: true }),
      payers: (named) => payers.find(named),
      decide: (principal, call) =>
        requireCall(principal, call, { status: settings.modelAccessStatus, scopeOf: scopeFor(principal) }),
      allows: (principal, model, route) => allows(principal, { model, route }, scopeFor(principal)),
      metering: refusingWith(metering, settings.budgetExceededStatus),
      deployments,
      routing: settings.routing,
      tokenCost: (deployment) => metering.tokenCost(deployment),
      now,
      log,
      version,
      responseCache,
      keptObjects: keptObjectsIn(database.pool, { readSize: readBatchSize, onEnd: () => batches.onEnd() }),
      refusesUnsized: settings.unsizedBatches === 'refuse',
      responseIds: new ResponseIds(parts.sharedSecret, parts.otherSecrets),
      counter: { promptTokens: estimatePromptTokens, completionTokens: countCompletion },
      translate: translating({ dropParams: settings.dropParams }),
      limits: {
        inFlight: settings.maxCalls,
        bodyBytes: settings.bodyLimit,
        formBytes: settings.formLimit,
        connectMs: toMilliseconds(settings.connectTimeout),
        ...timesOf(settings),
      },
    }),
  );
  const unused = proxyVariables(runtime.env);
  if (unused.length > 0) log('warn', `${unused.join(', ')}: set and not used; providers are connected to directly`);
  const credentialOf = (request: IncomingMessage) => maskedCredential(request, settings.keyHeaderName);
  const open = opened.move();
  return {
    authenticate,
    addressOf: whereFrom,
    credentialOf,
    /** Where no model may be: the listeners are still to be added. */
    ownPlaces,
    proxy,
    live: live.of(proxy.visit),
    callbacks,
    alertTest: alerts.test,
    explainer,
    prices: metering.gauge.prices,
    /** Told when a batch is over by whoever books them. */
    batches,
    responseCache,
    tokenTest: tokens?.test ?? noTokens,
    /** From the next call on this is the configuration. Nothing of it waits, so that no call sees half of it. */
    reconfigure: (next: Configuration) => {
      configuration = next;
      alerts.renewed();
      showPassThroughs();
      showDeployments();
      proxy.reconfigure(next.settings.routing, timesOf(next.settings));
    },
    models: () => deployments.all.length,
    journal: () => metering.journal,
    limits: () => metering.limits,
    /** What this daemon has changed itself. */
    follow: (change: Change) => {
      if (takesAway(change)) redis?.announce(change);
      return follow(change);
    },
    log,
    [Symbol.asyncDispose]: () => open.disposeAsync(),
  };
}

interface Configuration {
  readonly settings: Settings;
  readonly configured: readonly Deployment[];
}

type Loaded = Awaited<ReturnType<typeof loadPassThroughs>> & Awaited<ReturnType<typeof loadProviderCredentials>>;

const timesOf = ({ firstByteTimeout, streamTimeout, idleTimeout, totalTimeout }: Settings): Times => ({
  firstByteMs: toMilliseconds(firstByteTimeout),
  streamFirstByteMs: streamTimeout && toMilliseconds(streamTimeout),
  idleMs: toMilliseconds(idleTimeout),
  totalMs: toMilliseconds(totalTimeout),
});

/** Money refused in the status the operator's clients know; what a budget is, is none of HTTP's business. */
function refusingWith(metering: Metering, status: number): Pick<Metering, 'prepare' | 'cover' | 'begin'> {
  const refuse = (thrown: unknown): never => {
    const isBudget = thrown instanceof GatewayError && thrown.type === 'budget_exceeded';
    if (!isBudget || thrown.status === status) throw thrown;
    const { kind, type, message, hint, param, headers } = thrown;
    throw new GatewayError(kind, type, message, { hint, param, headers, status, cause: thrown });
  };
  return {
    prepare: (charge) => metering.prepare(charge),
    cover: (thrown) => metering.cover(thrown)?.catch(refuse),
    begin: (start) => {
      try {
        return metering.begin(start);
      } catch (thrown) {
        return refuse(thrown);
      }
    },
  };
}

/** Loaded only where there is a Redis: the client costs 50 to 100 ms at start. */
async function joinRedis(url: string, { settings, log, sharedSecret }: DataPlaneParts) {
  const { openRedis } = await import('./access/shared-cache.ts');
  return openRedis({ url, ttl: toMilliseconds(settings.redisCacheTtl), secret: sharedSecret, log });
}
