import assert from 'node:assert/strict';
import { rm } from 'node:fs/promises';
import { after, before, test } from 'node:test';
import { generateSecret } from '../../src/kernel/secret.ts';
import { operations } from '../../src/operations.ts';
import { openCluster } from '../support/cluster.ts';
import { aStateDir, type Daemon, startDaemon } from '../support/gateway.ts';
import { startRelay } from '../support/postgres-relay.ts';
import { type RawRequest, sendAll } from '../support/raw-http.ts';
import { plainPath } from '../support/wire-routes.ts';

const masterKey = generateSecret('master');
let relay: Awaited<ReturnType<typeof startRelay>>;
let daemon: Daemon;
const opened = new AsyncDisposableStack();
before(async () => {
  const stateDir = await aStateDir();
  opened.defer(() => rm(stateDir, { recursive: true, force: true }));
  const cluster = opened.use(await openCluster(stateDir));
  relay = opened.use(await startRelay(cluster.url));
  const env = { GATEWAYCTL_MASTER_KEY: masterKey };
  daemon = opened.use(await startDaemon({ stateDir, databaseUrl: relay.url, env }));
});
after(() => opened.disposeAsync());

const routes = operations
  .flatMap(({ route, alsoAt = [] }) => [route].concat(alsoAt))
  .map(([method, path]) => `${method} ${plainPath(path)}`)
  .concat(['POST /v1/chat/completions', 'GET /v1/models', 'GET /models/x', 'POST /engines/x/chat/completions']);

/** Found again in whatever statement it became a part of. */
const marker = 'canary';
const attacks = [
  "' OR (SELECT pg_sleep(8)) IS NOT NULL --",
  "'; drop table gatewayctl.keys; --",
  "' union select token from gatewayctl.keys --",
  '") or ("1"="1',
  String.raw`\x27 or 1=1`,
  "%' or '1'='1",
  '$1; select pg_sleep(8)',
  "' || (select pg_sleep(8)) || '",
  '$$; select 1; $$',
  "E'\\'; --",
  '/**/union/**/select/**/1',
  '?::text; :name; {0}; ${x}',
  '\xbf\x27 or 1=1 --',
  "');/*",
  "' and 1=cast((select version()) as int) --",
  '0x27206f7220313d31',
  "admin'--",
  '{"$gt":""}',
  '__proto__',
  '\\',
];
const prefixes = ['', 'sk-', 'sk-gw1_', 'eyJhbGciOiJub25lIn0.', 'Bearer '];
const places: readonly ((value: string) => string)[] = [
  (value) => `Authorization: Bearer ${value}`,
  (value) => `x-api-key: ${value}`,
  (value) => `x-litellm-api-key: ${value}`,
  (value) => `api-key: ${value}`,
  (value) => `x-goog-api-key: ${value}`,
  (value) => `Ocp-Apim-Subscription-Key: ${value}`,
  (value) => `Authorization: Basic ${Buffer.from(`${value}:x`).toString('base64')}`,
  (value) => `Cookie: token=${value}`,
];

function* injections(most: number): Generator<RawRequest> {
  for (let index = 0; index < most; index++) {
    const prefix = prefixes[index % prefixes.length] ?? '';
    const text = attacks[Math.floor(index / prefixes.length) % attacks.length] ?? '';
    const place = places[Math.floor(index / 7) % places.length] ?? assert.fail();
    const line = routes[index % routes.length] ?? assert.fail();
    yield {
      line: `${line} HTTP/1.1`,
      headers: ['Host: a', 'Content-Type: application/json', place(`${prefix}${marker}${index}${text}`)],
      ...(!line.startsWith('GET ') && { body: '{}' }),
    };
  }
}

/** A statement without its values, however many rows it has. */
const normalised = (text: string): string =>
  text
    .replaceAll(/'[^']*'|\$\d+|\b\d+\b/g, '?')
    .replaceAll(/\([?, a-z:]*\)(?:, \([?, a-z:]*\))+/gi, '(rows)')
    .replaceAll(/\([?, a-z:]*\)/gi, '(rows)');

async function attack(most: number): Promise<Set<number>> {
  const { port, hostname } = new URL(daemon.url);
  const statuses = new Set<number>();
  await sendAll(injections(most), { port: Number(port), host: hostname }, ({ line, headers }, { status, text }) => {
    statuses.add(status);
    assert.ok([400, 401, 429].includes(status), `${line} ${headers.join(', ')}: ${text}`);
  });
  return statuses;
}

test('SEC-01, CVE-2026-42208, GHSA-r75f-5x8p-qvmc: 2,000 injections in every place of a credential are refused, and none is part of a statement', async () => {
  await attack(200);
  const known = new Set(relay.asked.map(normalised));
  const statuses = await attack(2_000);
  assert.ok(statuses.has(401));
  assert.ok(relay.lookups > 50, 'what was asked is seen');
  assert.deepEqual(
    relay.asked.filter((text) => text.includes(marker) || text.includes('pg_sleep')),
    [],
  );
  assert.deepEqual(
    relay.asked.map(normalised).filter((text) => !known.has(text)),
    [],
    'no statement that was not asked before',
  );
});

test('3.13: an unknown, a blocked and an expired key cost one look-up and are answered in one shape', async () => {
  const made = async (more: object) =>
    (await daemon.request('POST', '/key/generate', { body: more })).body.key as string;
  const blocked = await made({ key_alias: 'blocked' });
  await daemon.request('POST', '/key/block', { body: { key: 'blocked' } });
  const expired = await made({ duration: '1s' });
  const wait = performance.now();
  while (performance.now() - wait < 1_100) await daemon.request('GET', '/health/liveliness');
  const shapes: string[] = [];
  for (const [what, key] of Object.entries({ unknown: generateSecret('virtual'), blocked, expired })) {
    const lookups = relay.lookups;
    const { status, body, headers } = await daemon.request('GET', '/v1/models', { key });
    assert.equal(status, 401, what);
    assert.ok(relay.lookups - lookups <= 1, `${what}: ${relay.lookups - lookups} look-ups`);
    shapes.push(
      JSON.stringify([Object.keys(body.error), body.error.code, body.error.kind, [...headers.keys()].toSorted()]),
    );
    assert.ok(!JSON.stringify(body).includes(key), what);
  }
  assert.equal(new Set(shapes).size, 1, shapes.join('\n'));
});
