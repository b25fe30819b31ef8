import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { isReading } from '../../src/kernel/operation.ts';
import { publicPaths, type RegisteredRoute } from '../../src/kernel/route-policy.ts';
import { operations } from '../../src/operations.ts';
import { type Gateway, startGateway } from '../support/gateway.ts';
import { randomLines } from '../support/random-lines.ts';
import { type RawAnswer, type RawRequest, sendAll } from '../support/raw-http.ts';
import { hostSpellings, pathSpellings } from '../support/spellings.ts';
import { plainPath, routesNamed } from '../support/wire-routes.ts';

const seed = Number(process.env['GATEWAYCTL_TEST_SEED'] ?? 20_261_127);

let gateway: Gateway;
let weakKey: string;
let routes: readonly RegisteredRoute[];
before(async () => {
  gateway = await startGateway({ ownProcess: true });
  const post = async (path: string, body: object) => (await gateway.request('POST', path, { body })).body;
  await post('/user/new', { user_id: 'weak', user_role: 'internal_user_viewer', auto_create_key: false });
  weakKey = (await post('/key/generate', { user_id: 'weak' })).key;
  const { paths } = (await gateway.request('GET', '/openapi.json')).body as { paths: Record<string, object> };
  // As the gateway itself publishes them: administration, models and probes.
  const anyone = [...publicPaths].map((path) => ({ method: 'GET', path, policy: { caller: 'anyone' as const } }));
  const known = Object.entries(paths).flatMap(([path, methods]) =>
    Object.keys(methods).map((method) => ({
      method: method.toUpperCase(),
      path: path.replaceAll(/\{(\w+)\}/g, ':$1'),
      policy: { caller: 'known' as const, access: 'call' as const },
    })),
  );
  routes = [...anyone, ...known.filter(({ path }) => !publicPaths.has(path))];
});
after(() => gateway[Symbol.asyncDispose]());

/** Routes at which whoever may only look is answered. */
const readable = new Set(
  operations
    .filter(isReading)
    .flatMap(({ route, alsoAt = [] }) => [route].concat(alsoAt))
    .map(([method, path]) => `${method} ${path}`)
    .concat(['GET /v1/models', 'GET /models', 'GET /v1/models/:model', 'GET /models/:model'])
    // Whoever asks gets a list of their own.
    .concat(['GET /v1/files', 'GET /files', 'GET /v1/batches', 'GET /batches']),
);

/** A sum over every row there is, but for what tells of refusals and of when a key was last used. */
async function everything(): Promise<string> {
  const { rows: tables } = await gateway.pool.query<{ name: string }>(
    `select table_name as name from information_schema.tables
     where table_schema = 'gatewayctl' and table_type = 'BASE TABLE' and table_name not like 'audit%' order by 1`,
  );
  assert.ok(tables.length > 10);
  const sums = tables.map(
    ({ name }) =>
      `select '${name}' as name, md5(string_agg(t::text, ',' order by t::text)) as sum from gatewayctl."${name}" t`,
  );
  const { rows } = await gateway.pool.query(sums.join(' union all '));
  return JSON.stringify(rows);
}

const reading = /^(?:GET|HEAD) /;
const body = '{"model":"mock-gpt","messages":[{"role":"user","content":"x"}]}';
const requestOf = (line: string, host: string, key: string): RawRequest => ({
  line,
  headers: [host, ...(key === '' ? [] : [`Authorization: Bearer ${key}`]), 'Content-Type: application/json'],
  ...(!reading.test(line) && { body: line.includes('chat/completions') ? body : '{}' }),
});

/** Every path spelling and every Host spelling of every route, and after them lines of anything. */
function* requests(key: string): Generator<RawRequest> {
  for (const { method, path } of routes) {
    const plain = plainPath(path);
    for (const spelled of pathSpellings)
      yield requestOf(`${method} ${spelled(plain)} HTTP/1.1`, 'Host: localhost', key);
    for (const host of hostSpellings.slice(1)) yield requestOf(`${method} ${plain} HTTP/1.1`, host, key);
  }
  for (const line of randomLines(routes, 2_000, seed)) yield requestOf(line, 'Host: localhost', key);
}

async function ask(key: string, onAnswer: (request: RawRequest, answer: RawAnswer) => void): Promise<void> {
  const port = Number(new URL(gateway.daemon.url).port);
  const untouched = await everything();
  await sendAll(requests(key), { port, host: '127.0.0.1' }, (request, answer) => {
    assert.ok(answer.status < 500, `${request.line}: ${answer.text}`);
    onAnswer(request, answer);
  });
  assert.equal(await everything(), untouched);
  assert.equal(gateway.daemon.child.exitCode, null);
  assert.equal((await gateway.request('GET', '/key/list')).status, 200);
}

const isDone = ({ status }: RawAnswer): boolean => status >= 200 && status < 400;

test('SEC-02, CVE-2026-49468: no spelling of Host or path is answered without a credential, or changes anything', async () => {
  let refused = 0;
  await ask('', (request, answer) => {
    const isPublic = routesNamed(routes, request.line).some(({ path }) => publicPaths.has(path));
    if (isDone(answer)) assert.ok(isPublic, `${request.line}: ${answer.text}`);
    if (answer.status === 401) refused++;
  });
  assert.ok(refused >= routes.length - publicPaths.size);
});

test('SEC-02, CVE-2026-49468: a weak key is answered at no spelling of what it may not do, and changes nothing', async () => {
  let read = 0;
  await ask(weakKey, (request, answer) => {
    if (!isDone(answer)) return;
    read++;
    const named = routesNamed(routes, request.line);
    const isItsOwn = named.some(({ method, path }) => publicPaths.has(path) || readable.has(`${method} ${path}`));
    const isCall = named.some(({ path }) => path.endsWith('/chat/completions'));
    assert.ok(isItsOwn || isCall, `${request.line}: ${answer.text}`);
  });
  assert.ok(read > 20);
});
