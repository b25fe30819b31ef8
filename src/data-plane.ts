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
import type { Database } from './database.ts';
import type { Provisioning } from './jwt/provisioning.ts';
import type { Change } from './db/notify.ts';
import { OutageLog } from './db/outage-log.ts';
import { OwnPlaces } from './egress/own-places.ts';
import { proxyVariables } from './egress/proxy-variables.ts';
import { Explainer } from './explain/explainer.ts';
import { gatewayBudget } from './gateway-budget.ts';
import { follower, listen, takesAway } from './following.ts';
import { toMilliseconds } from './kernel/duration.ts';
import type { Vault } from './kernel/encryption.ts';
import { GatewayError } from './kernel/errors.ts';
import { countCompletion, estimatePromptTokens } from './metering/estimate.ts';
import { Metering } from './metering/metering.ts';
import type { Deployment } from './models/deployment.ts';
import { loadDeployments } from './models/model.queries.ts';
import { noTokens, openTokens } from './open-tokens.ts';
import { loadPassThroughs, loadProviderCredentials } from './passthroughs/passthrough.queries.ts';
import { PassThroughRoutes } from './passthrough/routes.ts';
import { createProxy } from './proxy/proxy.ts';
import { ResponseIds } from './proxy/response-ids.ts';
import { DeploymentTable } from './proxy/routing.ts';
import type { ServeParts } from './serve.ts';

export interface DataPlaneParts extends ServeParts {
  readonly database: Database;
  readonly masterKey: string;
  /** Known to every daemon on this database and to nobody else: what entries in Redis and the ids of responses are signed with. */
  readonly sharedSecret: Buffer | string;
  /** What other daemons may have in its place, while the encryption key is being changed. */
  readonly otherSecrets: readonly Buffer[];
  readonly vault: Vault;
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

  const metering = opened.use(
    await Metering.open({
      journalPath: join(settings.stateDir, 'journal.db'),
      pool: database.pool,
      now,
      log,
      durability: settings.journalDurability,
      unpriced: settings.unpricedModels,
      ...(settings.spendRetention && { retentionDays: toMilliseconds(settings.spendRetention) / DAY_MS }),
    }),
  );
  const redis = settings.redisUrl === undefined ? undefined : opened.use(await joinRedis(settings.redisUrl, parts));
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
  const reload = oneAtATime(async () => {
    const { deployments: found, problems } = await loadDeployments(database.pool, vault, runtime.env);
    for (const { apiKey } of found) if (apiKey !== undefined) parts.redact(apiKey);
    for (const problem of problems) log('warn', `Left out ${problem}`);
    deployments.replace([...configured, ...found]);
  });
  const passThrough = new PassThroughRoutes({
    variable: (name) => settings.providerVariables[name],
    decide: (principal, call) => requirePassed(principal, call, settings.modelAccessStatus),
    isPriced: (deployment, model) => metering.gauge.prices.of(deployment, model, now()).source !== 'unpriced',
    keyHeader: settings.keyHeaderName,
  });
  const reloadPassThroughs = oneAtATime(async () => {
    const [{ endpoints, problems }, kept] = await Promise.all([
      loadPassThroughs(database.pool, vault, runtime.env),
      loadProviderCredentials(database.pool, vault, runtime.env),
    ]);
    for (const { headers } of endpoints) for (const value of Object.values(headers)) parts.redact(value);
    for (const { apiKey } of kept.credentials.values()) if (apiKey !== undefined) parts.redact(apiKey);
    for (const problem of [...problems, ...kept.problems]) log('warn', `Left out ${problem}`);
    passThrough.replace([...endpoints, ...settings.passThroughs], kept.credentials);
  });
  const kept = { cache, payers, reload, reloadPassThroughs, metering, deployments };
  const follow = follower(parts, kept);
  const listener = listen(parts, { ...kept, follow, outage });
  await Promise.all([reload(), reloadPassThroughs()]);
  opened.use(listener);
  redis?.follow(follow);
  await listener.start();

  const scopeFor =
    ({ teamId }: Principal) =>
    (model: string) =>
      deployments.scopeOf(model, teamId);
  const authenticate = async (request: IncomingMessage, path: string) =>
    actorOf(await authenticator.authenticate(request, { mayBeStale: false }), path);
  const ownPlaces = new OwnPlaces();
  for (const url of [database.url, settings.redisUrl]) if (url !== undefined) ownPlaces.addUrl(url);
  const proxy = opened.use(
    createProxy({
      ownPlaces,
      further: passThrough,
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
      responseIds: new ResponseIds(parts.sharedSecret, parts.otherSecrets),
      counter: { promptTokens: estimatePromptTokens, completionTokens: countCompletion },
      limits: {
        inFlight: settings.maxCalls,
        bodyBytes: settings.bodyLimit,
        formBytes: settings.formLimit,
        connectMs: toMilliseconds(settings.connectTimeout),
        firstByteMs: toMilliseconds(settings.firstByteTimeout),
        streamFirstByteMs: settings.streamTimeout && toMilliseconds(settings.streamTimeout),
        idleMs: toMilliseconds(settings.idleTimeout),
        totalMs: toMilliseconds(settings.totalTimeout),
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
    explainer,
    tokenTest: tokens?.test ?? noTokens,
    /** What this daemon has changed itself. */
    follow: (change: Change) => {
      if (takesAway(change)) redis?.announce(change);
      return follow(change);
    },
    log,
    [Symbol.asyncDispose]: () => open.disposeAsync(),
  };
}

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

/**
 * Runs that were asked for while one is under way become one more after it, so that what was read first can never
 * overwrite what was read last.
 */
function oneAtATime(run: () => Promise<void>): () => Promise<void> {
  let last = Promise.resolve();
  let waiting: Promise<void> | undefined;
  const begin = () => {
    waiting = undefined;
    return run();
  };
  return () => {
    if (!waiting) last = waiting = last.then(begin, begin);
    return waiting;
  };
}

/** Loaded only where there is a Redis: the client costs 50 to 100 ms at start. */
async function joinRedis(url: string, { settings, log, sharedSecret }: DataPlaneParts) {
  const { openRedis } = await import('./access/shared-cache.ts');
  return openRedis({ url, ttl: toMilliseconds(settings.redisCacheTtl), secret: sharedSecret, log });
}
