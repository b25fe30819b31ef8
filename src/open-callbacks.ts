import { bodyStore, dropBodies } from './callbacks/body-store.ts';
import type { CallbackReport } from './callbacks/callback-settings.ts';
import { Callbacks } from './callbacks/callbacks.ts';
import { loadOwnerLogging } from './callbacks/owner-callback.queries.ts';
import type { DataPlaneParts } from './data-plane.ts';
import { Egress } from './egress/egress.ts';
import type { OwnPlaces } from './egress/own-places.ts';
import { toMilliseconds } from './kernel/duration.ts';
import { GatewayError } from './kernel/errors.ts';
import type { Log } from './kernel/log.ts';
import type { Exchange } from './proxy/exchange.ts';

const connectMs = 5_000;
/** How often bodies past their retention are looked for. */
const cleaningMs = 3_600_000;
/** How long destinations have to take what waits when the daemon ends; calls have been waited for before. */
const farewellMs = 5_000;

/** What reports calls, with what it leads through and is kept up to date by. */
export async function openCallbacks(
  parts: DataPlaneParts,
  { log, ownPlaces }: { readonly log: Log; readonly ownPlaces: OwnPlaces },
) {
  const { settings, database, version, callbackVault, bodyVault, redact } = parts;
  if (settings.logBodies && bodyVault.keyId === undefined) throw keyMissing();
  await using opened = new AsyncDisposableStack();
  const { timeoutMs } = settings.callbacks.queue;
  const agent = { headersTimeout: timeoutMs, bodyTimeout: timeoutMs, keepAliveTimeout: 30_000 };
  const egress = opened.use(new Egress({ connectMs, own: ownPlaces, agent }));
  const callbacks = await Callbacks.open({
    settings: settings.callbacks,
    egress,
    log,
    version,
    bodyStore: settings.logBodies && !settings.turnOffMessageLogging ? bodyStore(database.pool, bodyVault) : undefined,
    bodyBytes: settings.bodyLogLimit,
  });
  opened.defer(() => callbacks.close(farewellMs));
  const clean = async () => {
    if (!settings.bodyRetention) return;
    await dropBodies(database.pool, toMilliseconds(settings.bodyRetention)).catch((error: unknown) => {
      log('warn', 'Bodies past their retention could not be deleted', { error });
    });
  };
  void clean();
  const cleaning = setInterval(() => void clean(), cleaningMs).unref();
  opened.defer(() => clearInterval(cleaning));
  const kept = opened.move();
  return {
    tell: (exchange: Exchange) => callbacks.tell(exchange),
    reports: (): readonly CallbackReport[] =>
      callbacks.counts.map(({ name, ...counts }) => {
        return { name, setup: settings.callbacks.callbacks.find((setup) => setup.name === name), counts };
      }),
    /** Reads again what teams and keys have said. */
    async reload(): Promise<void> {
      const loaded = await loadOwnerLogging(database.pool, callbackVault, settings.callbacks.ownersAllowed);
      for (const secret of loaded.secrets) if (secret.length >= 12) redact(secret);
      for (const problem of loaded.problems) log('warn', `Left out ${problem}`);
      await callbacks.replaceOwners(loaded);
    },
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}

const keyMissing = (): GatewayError =>
  new GatewayError('config', 'encryption_key_missing', 'log_bodies needs an encryption key, and none is configured', {
    hint:
      'Bodies are kept encrypted. Make a key with `openssl rand -base64 32` and give it as GATEWAYCTL_ENCRYPTION_KEY_FILE, ' +
      'or leave log_bodies off.',
  });
