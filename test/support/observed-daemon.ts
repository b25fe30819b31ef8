import { actorOf } from '../../src/access/actor-of.ts';
import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import type { Principal } from '../../src/access/principal.ts';
import { createDaemon } from '../../src/daemon/daemon.ts';
import { GatewayError } from '../../src/kernel/errors.ts';
import type { RegisteredRoute } from '../../src/kernel/route-policy.ts';
import { operations } from '../../src/operations.ts';
import { aPrincipal, Gateway } from '../proxy/gateway.ts';

/** What ran for a request: routes of one name are one. */
export interface Ran {
  /** Number of the request whose credential was looked at, as the handler was told. */
  readonly probe: string;
  readonly paths: readonly string[];
}

const keyOfProbe = 'probe-';

/**
 * The listener, the look at the target, the router and the gates of a daemon, with everything behind them watched: whose
 * credential was looked at, and which handler ran for whom. Every request says its number in `x-probe`; whoever is let in
 * is called by the number of that very request, so that a handler knows for which one its caller was looked at.
 */
export async function observedDaemon() {
  const asked = new Set<string>();
  const ran: Ran[] = [];
  const door = { isOpen: false };
  const authenticate = (request: IncomingMessage): Principal => {
    const probe = String(request.headers['x-probe']);
    asked.add(probe);
    if (!door.isOpen) throw new GatewayError('unauthenticated', 'auth_error', 'Nobody is let in');
    return { ...aPrincipal, keyId: keyOfProbe + probe, userId: null, teamId: null };
  };
  const probeOf = (keyId: string): string => keyId.slice(keyOfProbe.length);
  const models = await Gateway.start({
    authenticate,
    // Whose a response is, is looked at before what is watched here.
    responseIds: { seal: () => '', isOwn: () => true },
    decide: ({ keyId }, { route }) => {
      ran.push({ probe: probeOf(keyId), paths: [route] });
      throw new GatewayError('forbidden', 'model_access_denied', 'No model is for anybody');
    },
    keptObjects: {
      remember: () => Promise.resolve(),
      forget: () => Promise.resolve(),
      batchSize: () => Promise.resolve(undefined),
      openBatch: () => Promise.resolve(),
      endBatch: () => Promise.resolve(),
      list: ({ owner, kind }) => {
        const [, keyId] = JSON.parse(owner) as [string, string];
        const name = kind === 'file' ? 'files' : 'batches';
        ran.push({ probe: probeOf(keyId), paths: [`/v1/${name}`, `/${name}`] });
        return Promise.resolve([]);
      },
    },
    allows: ({ keyId }) => {
      ran.push({
        probe: probeOf(keyId),
        paths: ['/v1/models', '/models', '/v1/models/:model', '/models/:model', '/utils/token_counter'],
      });
      return true;
    },
  });
  const faults: unknown[] = [];
  const daemon = createDaemon({
    app: {
      run: (operation, _, { actor }) => {
        const probe = actor.type === 'key' ? probeOf(actor.keyId) : actor.type;
        ran.push({ probe, paths: [operation.route, ...(operation.alsoAt ?? [])].map(([, path]) => path) });
        return Promise.resolve({});
      },
    },
    operations,
    authenticate: async (request, path) => actorOf(authenticate(request), path),
    refusals: { record: () => Promise.resolve() },
    addressOf: () => '127.0.0.1',
    credentialOf: () => undefined,
    follow: () => Readable.from([]),
    proxy: models.proxy,
    openapi: '{}',
    version: '1.2.3',
    maxConnections: 12_000,
    keepAliveMs: 65_000,
    isDraining: () => false,
    limits: () => ({ countedIn: 'postgresql', withoutSharedStore: 'refuse' }),
    database: () => Promise.resolve(true),
    log: (level, message, fields) => void (level === 'error' && faults.push([message, fields])),
  });
  const directory = await mkdtemp(join(tmpdir(), 'gatewayctl-'));
  const path = join(directory, 'listener');
  const server = daemon.createServer({ hasAdmin: true, hasModels: true });
  server.listen(path);
  await once(server, 'listening');
  const routes: readonly RegisteredRoute[] = daemon.routes;
  return {
    path,
    routes,
    asked,
    ran,
    faults,
    door,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
      await models[Symbol.asyncDispose]();
      await rm(directory, { recursive: true, force: true });
    },
  };
}
