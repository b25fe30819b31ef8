import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { operations } from '../../src/operations.ts';
import { type Gateway, startGateway } from '../support/gateway.ts';
import { type RawAnswer, type RawRequest, sendAll } from '../support/raw-http.ts';
import { plainPath } from '../support/wire-routes.ts';

let gateway: Gateway;
let key: string;
let other: string;
before(async () => {
  gateway = await startGateway();
  const made = async () => (await gateway.request('POST', '/key/generate', { body: {} })).body.key;
  key = await made();
  other = await made();
});
after(() => gateway[Symbol.asyncDispose]());

/** Every route that wants to know who calls. */
const routes = operations
  .flatMap(({ route, alsoAt = [] }) => [route].concat(alsoAt))
  .map(([method, path]) => `${method} ${plainPath(path)}`)
  .concat(['POST /v1/chat/completions', 'POST /chat/completions', 'POST /engines/x/chat/completions'])
  .concat([
    'POST /openai/deployments/x/chat/completions',
    'GET /v1/models',
    'GET /models',
    'GET /v1/models/x',
    'GET /models/x',
  ]);

const schemes: Readonly<Record<string, (secret: string) => string>> = {
  bearer: (secret) => `Authorization: Bearer ${secret}`,
  litellm: (secret) => `X-Litellm-Api-Key: ${secret}`,
  'litellm, with Bearer': (secret) => `x-litellm-api-key: Bearer ${secret}`,
  azure: (secret) => `API-Key: ${secret}`,
  anthropic: (secret) => `x-api-key: ${secret}`,
  google: (secret) => `X-Goog-Api-Key: ${secret}`,
  apim: (secret) => `Ocp-Apim-Subscription-Key: ${secret}`,
};
/** What other programs take for a credential and no scheme of ours is. */
const ignored: Readonly<Record<string, (secret: string) => string>> = {
  basic: (secret) => `Authorization: Basic ${Buffer.from(`${secret}:`).toString('base64')}`,
  raw: (secret) => `Authorization: ${secret}`,
  cookie: (secret) => `Cookie: token=${secret}; api_key=${secret}`,
  proxy: (secret) => `Proxy-Authorization: Bearer ${secret}`,
};

interface Asked extends RawRequest {
  readonly what: string;
}

const asking = (line: string, headers: readonly string[]): Asked => ({
  what: `${line} ${headers.join(', ')}`,
  line: `${line} HTTP/1.1`,
  headers: ['Host: a', 'Content-Type: application/json', ...headers],
  ...(!line.startsWith('GET ') && { body: '{"messages":[]}' }),
});

async function answers(requests: Iterable<Asked>): Promise<[Asked, RawAnswer][]> {
  const seen: [Asked, RawAnswer][] = [];
  const { port, hostname } = new URL(gateway.daemon.url);
  await sendAll(requests, { port: Number(port), host: hostname }, (request, answer) => seen.push([request, answer]));
  return seen;
}

// Its beginning is one of our keys and its checksum is not, so that nothing is looked up, and nobody is limited for it.
const bad = () => `${key.slice(0, -1)}${key.endsWith('a') ? 'b' : 'a'}`;

test('SEC-08, CVE-2026-12773: every scheme leads to the one verifier, at every route', async () => {
  for (const [name, scheme] of Object.entries(schemes)) {
    for (const [request, { status, text }] of await answers(routes.map((line) => asking(line, [scheme(key)])))) {
      assert.ok(status !== 401 && status < 500 && status > 0, `${name} ${request.what}: ${text}`);
    }
    for (const [request, { status, text }] of await answers(routes.map((line) => asking(line, [scheme(bad())])))) {
      assert.equal(status, 401, `${name} ${request.what}: ${text}`);
      assert.ok(!text.includes(bad()), 'it is not said again');
    }
  }
});

test('SEC-08: two different credentials are refused at every route, in whichever two schemes, and one given twice is one', async () => {
  const pairs = Object.values(schemes).flatMap((one, index, all) =>
    all.slice(index + 1).map((another) => [one, another] as const),
  );
  const named = pairs.filter(
    ([one, another]) => one('').split(':')[0]?.toLowerCase() !== another('').split(':')[0]?.toLowerCase(),
  );
  const two = routes.flatMap((line, index) => {
    const [one, another] = named[index % named.length] ?? assert.fail();
    return [asking(line, [one(key), another(other)]), asking(line, [one(key), another(bad())])];
  });
  const everyPair = named.map(([one, another]) => asking('GET /key/list', [one(key), another(other)]));
  for (const [request, { status, text }] of await answers([...two, ...everyPair])) {
    assert.equal(status, 401, `${request.what}: ${text}`);
  }
  for (const [request, { status }] of await answers(
    named.map(([one, another]) => asking('GET /v1/models', [one(key), another(key)])),
  )) {
    assert.equal(status, 200, request.what);
  }
});

test('SEC-08: what is no scheme of ours lets nobody in, and no query does', async () => {
  const headers = Object.values(ignored).map((scheme) => scheme(key));
  const asked = headers.flatMap((header) => routes.map((line) => asking(line, [header])));
  const query = `key=${key}&api_key=${key}&access_token=${key}`;
  asked.push(...routes.map((line) => asking(`${line}?${query}`, [])));
  for (const [request, { status, text }] of await answers(asked)) assert.equal(status, 401, `${request.what}: ${text}`);
});
