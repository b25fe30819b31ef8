import type pg from 'pg';
import type { Seed } from './access/principal-of.ts';
import type { Settings } from './config/load.ts';
import type { Vault } from './kernel/encryption.ts';
import { gatewayBudget } from './gateway-budget.ts';
import { requireKnownOperations } from './known-operations.ts';
import { configuredDeployments } from './serve.ts';
import type { AskedCache } from './response-cache/cache.service.ts';
import type { TokenTest } from './jwt/token-test.ts';
import type { Prices } from './metering/prices.ts';
import type { Explainer } from './explain/explainer.ts';

export interface Surroundings {
  readonly pool: pg.Pool;
  readonly settings: Settings;
  readonly vault: Vault;
  readonly env: Readonly<Record<string, string | undefined>>;
}

/** An explainer beside no daemon: it reads everything anew. Loaded when it is asked, because other commands need none of it. */
export const lazyExplainer = (surroundings: Surroundings): Pick<Explainer, 'explain'> => ({
  explain: async (question) => (await openExplainer(surroundings)).explain(question),
});

/** The same for tokens. The keys of their issuers are fetched for each test. */
export const lazyTokenTest = (surroundings: Surroundings): Pick<TokenTest, 'test'> => ({
  test: async (question) => {
    const { settings, pool } = surroundings;
    const { openTokens, noTokens } = await import('./open-tokens.ts');
    if (!settings.jwt) return noTokens.test(question);
    requireKnownOperations(settings.jwt);
    await using tokens = await openTokens(settings.jwt, {
      pool,
      now,
      log: () => undefined,
      seed: () => undefined,
      explainer: {
        explainFor: async (principal, asked) => (await openExplainer(surroundings)).explainFor(principal, asked),
      },
      provision: () => Promise.reject(new Error('A test makes nobody')),
    });
    return await tokens.test.test(question);
  },
});

/** Prices as calls are booked by them, loaded once when somebody asks. */
export function lazyPrices(settings: Settings): () => Promise<Prices> {
  let prices: Promise<Prices> | undefined;
  const load = async () => {
    const { FiledPrices, priceFileOf } = await import('./metering/filed-prices.ts');
    return (await FiledPrices.open(priceFileOf(settings))).prices;
  };
  return () => (prices ??= load());
}
/** The cache beside no daemon: whether its Redis answers can be asked. That in the memory of daemons is there with them. */
export const lazyResponseCache = ({ responseCache }: Settings): AskedCache | undefined =>
  responseCache && {
    settings: responseCache,
    ping: async () => {
      const { openResponseCache } = await import('./response-cache/open.ts');
      await using cache = await openResponseCache(responseCache, { log: () => undefined, secret: '' });
      await cache.ping();
    },
  };

const now = () => new Date();

async function openExplainer({ pool, settings, vault, env }: Surroundings): Promise<Explainer> {
  const [{ Explainer }, { Counters }, { RateLimiter }, { Payers }, { DeploymentTable }, { loadDeployments }] =
    await Promise.all([
      import('./explain/explainer.ts'),
      import('./metering/counters.ts'),
      import('./metering/rate-limiter.ts'),
      import('./access/payers.ts'),
      import('./proxy/routing.ts'),
      import('./models/model.queries.ts'),
    ]);
  const counters = new Counters(pool, { now });
  const seed: Seed = (entity, id, spent) => counters.seed(entity, id, spent);
  return new Explainer({
    pool,
    observes: () => settings.enforce === 'observe',
    now,
    seed,
    payers: new Payers({
      pool,
      reachability: { require: () => {} },
      ttl: 0,
      staleMax: 0,
      maxEntries: 1_000,
      seed,
      gateway: gatewayBudget(settings),
    }),
    deployments: async () => {
      const { deployments } = await loadDeployments(pool, vault, env);
      return new DeploymentTable([...configuredDeployments(settings), ...deployments], settings.routing.aliases);
    },
    gauge: async () => ({
      prices: await lazyPrices(settings)(),
      counters,
      limiter: new RateLimiter(),
      refusesUnpriced: settings.unpricedModels === 'refuse',
    }),
    isLive: false,
    bodyBytes: settings.bodyLimit,
    modelAccessStatus: settings.modelAccessStatus,
    budgetExceededStatus: settings.budgetExceededStatus,
  });
}
