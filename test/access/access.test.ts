import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { after, before, describe, test } from 'node:test';
import { generateSecret, hashSecret } from '../../src/kernel/secret.ts';
import { operations } from '../../src/operations.ts';
import { type Answer, type Gateway, startGateway } from '../support/gateway.ts';

let gateway: Gateway;
let key: string;
let port: number;
before(async () => {
  gateway = await startGateway({
    env: {
      GATEWAYCTL_KEY_HEADER_NAME: 'x-company-key',
      GATEWAYCTL_AUTH_CACHE_TTL: '60s',
      GATEWAYCTL_COMPAT_BUDGET_EXCEEDED_STATUS: '400',
    },
  });
  key = await aKey({ key_alias: 'first' });
  port = Number(new URL(gateway.daemon.url).port);
});
after(() => gateway[Symbol.asyncDispose]());

const admin = (method: string, path: string, body?: unknown) => gateway.request(method, path, { body });
const aKey = async (fields: object = {}): Promise<string> => {
  const { status, text, body } = await admin('POST', '/key/generate', fields);
  assert.equal(status, 200, text);
  return body.key;
};
const models = (headers: Record<string, string>) => gateway.request('GET', '/v1/models', { key: '', headers });

function refused(answer: Answer, status: number, type: string): void {
  assert.equal(answer.status, status, answer.text);
  assert.equal(answer.body.error.type, type);
  assert.equal(answer.body.error.code, String(status));
}

/** A request as it stands here, byte for byte; what Node's clients would have mended first. */
async function raw(text: string): Promise<{ status: number; body: string }> {
  const socket = connect(port, '127.0.0.1');
  socket.write(text.replaceAll('\n', '\r\n'));
  let answer = '';
  for await (const chunk of socket.setEncoding('utf8')) answer += chunk;
  return { status: Number(/^HTTP\/1\.1 (\d{3})/.exec(answer)?.[1]), body: answer };
}

describe('the credential', () => {
  const headers = [
    'x-litellm-api-key',
    'x-api-key',
    'api-key',
    'x-goog-api-key',
    'ocp-apim-subscription-key',
    'x-company-key',
  ];
  for (const header of headers) {
    test(`is read from ${header}, with and without Bearer`, async () => {
      assert.equal((await models({ [header]: key })).status, 200);
      assert.equal((await models({ [header]: `Bearer ${key}` })).status, 200);
      refused(await models({ [header]: generateSecret('virtual') }), 401, 'token_not_found_in_db');
    });
  }

  test('is read from Authorization, whose scheme must be Bearer', async () => {
    assert.equal((await models({ authorization: `Bearer ${key}` })).status, 200);
    assert.equal((await models({ authorization: `bearer ${key}` })).status, 200);
    for (const wrong of [key, `Basic ${btoa(`a:${key}`)}`, 'Bearer', 'Bearer  ']) {
      refused(await models({ authorization: wrong }), 401, 'auth_error');
    }
  });

  test('may be given twice, but only one', async () => {
    assert.equal((await models({ authorization: `Bearer ${key}`, 'x-api-key': key })).status, 200);
    const other = await aKey();
    refused(await models({ authorization: `Bearer ${key}`, 'x-api-key': other }), 401, 'auth_error');
    refused(await models({ 'api-key': key, 'x-api-key': other }), 401, 'auth_error');
    const twice = await raw(
      `GET /v1/models HTTP/1.1\nHost: a\nAuthorization: Bearer ${key}\nAuthorization: Bearer ${other}\nConnection: close\n\n`,
    );
    assert.equal(twice.status, 401);
  });

  test('is missing', async () => {
    const answer = await models({});
    refused(answer, 401, 'auth_error');
    assert.equal(answer.body.error.message, 'Authentication Error, No api key passed in.');
  });

  test('that is no key is refused with what was expected, and not repeated', async () => {
    const answer = await models({ authorization: 'Bearer my-password-1234' });
    refused(answer, 401, 'auth_error');
    assert.match(answer.body.error.message, /LiteLLM Virtual Key expected. Received=.*expected to start with 'sk-'/);
    assert.ok(!answer.text.includes('my-password'));
  });

  test('of the master opens everything', async () => {
    assert.equal((await models({ authorization: `Bearer ${gateway.daemon.masterKey}` })).status, 200);
    assert.equal((await admin('GET', '/key/list')).status, 200);
    const almost = `${gateway.daemon.masterKey.slice(0, -1)}${gateway.daemon.masterKey.endsWith('0') ? '1' : '0'}`;
    assert.equal((await models({ authorization: `Bearer ${almost}` })).status, 401);
  });
});

describe('what a key may do', () => {
  const allowed = async (secret: string): Promise<string[]> => {
    const { body } = await gateway.request('GET', '/v1/models', { key: secret });
    return body.data.map(({ id }: { id: string }) => id).toSorted();
  };
  const all = ['acme/large', 'acme/small', 'mock-gpt', 'other'];
  before(async () => {
    for (const name of ['acme/large', 'acme/small', 'other']) {
      await admin('POST', '/model/new', { model_name: name, litellm_params: { model: 'mock/x' } });
    }
    await admin('POST', '/team/new', { team_id: 'acme-only', models: ['acme/*'] });
    await admin('POST', '/team/new', { team_id: 'anything' });
    await admin('POST', '/team/new', { team_id: 'nothing', models: ['no-default-models'] });
    await admin('POST', '/user/new', { user_id: 'limited', models: ['other'], auto_create_key: false });
    await admin('POST', '/team/member_add', { team_id: 'anything', member: { user_id: 'limited' } });
  });

  const cases: readonly (readonly [what: string, fields: object, expected: readonly string[], type?: string])[] = [
    ['an empty list is every model', { models: [] }, all],
    ['a name is that model', { models: ['other'] }, ['other'], 'key_model_access_denied'],
    ['a pattern is what it matches', { models: ['acme/*'] }, ['acme/large', 'acme/small'], 'key_model_access_denied'],
    ['a star is every model', { models: ['*'] }, all],
    ['all-proxy-models is every model', { models: ['all-proxy-models'] }, all],
    ['no-default-models is none', { models: ['no-default-models'] }, [], 'key_model_access_denied'],
    [
      'a team’s list holds for its keys',
      { team_id: 'acme-only' },
      ['acme/large', 'acme/small'],
      'team_model_access_denied',
    ],
    [
      'all-team-models is the team’s list',
      { team_id: 'acme-only', models: ['all-team-models'] },
      ['acme/large', 'acme/small'],
      'team_model_access_denied',
    ],
    [
      'both lists must let a model through',
      { team_id: 'acme-only', models: ['acme/large', 'other'] },
      ['acme/large'],
      'key_model_access_denied',
    ],
    ['a team without models has none', { team_id: 'nothing' }, [], 'team_model_access_denied'],
    ['a user’s list holds for keys without a team', { user_id: 'limited' }, ['other'], 'user_model_access_denied'],
    ['and not for those of a team', { user_id: 'limited', team_id: 'anything' }, all],
    [
      'all-team-models without a team is no model of that name',
      { models: ['all-team-models'] },
      [],
      'key_model_access_denied',
    ],
  ];
  for (const [what, fields, expected, type] of cases) {
    test(`${what}: what is listed is exactly what may be called`, async () => {
      const secret = await aKey(fields);
      assert.deepEqual(await allowed(secret), expected);
      for (const model of all) {
        const answer = await gateway.chat(secret, model);
        if (expected.includes(model)) assert.equal(answer.status, 200, answer.text);
        else {
          assert.equal(answer.status, 403);
          assert.equal(answer.body.error.param, 'model');
        }
      }
      const refusal = await gateway.chat(secret, 'mock-gpt');
      if (type) refused(refusal, 403, type);
    });
  }

  test('a refusal has LiteLLM’s words', async () => {
    const secret = await aKey({ models: ['other', 'acme/small'] });
    const { body } = await gateway.chat(secret, 'mock-gpt');
    assert.equal(
      body.error.message,
      'key not allowed to access model. This key can only access models=[other, acme/small]. Tried to access mock-gpt',
    );
  });

  test('an expired key is 401 and says when', async () => {
    const secret = await aKey({ expires: '2020-01-01T00:00:00Z' });
    const answer = await gateway.chat(secret, 'mock-gpt');
    refused(answer, 401, 'expired_key');
    assert.match(answer.body.error.message, /Expired Key. Key Expiry time 2020-01-01T00:00:00.000Z and current time/);
    assert.ok(!answer.text.includes(secret));
  });

  test('a key expires while it is cached', async () => {
    const secret = await aKey({ expires: new Date(Date.now() + 400).toISOString() });
    assert.equal((await gateway.chat(secret, 'mock-gpt')).status, 200);
    await gateway.chatUntil(401, secret);
  });

  test('a blocked key is 401 with LiteLLM’s words, from the start or later', async () => {
    const secret = await aKey({ blocked: true });
    const answer = await gateway.chat(secret, 'mock-gpt');
    refused(answer, 401, 'key_blocked');
    assert.match(answer.body.error.message, /Key is blocked. Update via `\/key\/unblock` if you're an admin./);
    await admin('POST', '/key/unblock', { key: secret });
    assert.equal((await gateway.chat(secret, 'mock-gpt')).status, 200);
  });

  test('a budget that is used up is refused in the status that was chosen', async () => {
    const answer = await gateway.chat(await aKey({ max_budget: 0 }), 'mock-gpt');
    refused(answer, 400, 'budget_exceeded');
    assert.equal(answer.headers.get('x-should-retry'), 'false');
  });

  test('a key made with a secret that was just refused works at once', async () => {
    const secret = 'sk-known-before-it-was-made-01';
    refused(await gateway.chat(secret, 'mock-gpt'), 401, 'token_not_found_in_db');
    await aKey({ key: secret });
    assert.equal((await gateway.chat(secret, 'mock-gpt')).status, 200);
  });

  test('a key with very many retired secrets can still be changed, and all of them are refused at once', async () => {
    const secret = await aKey({ key_alias: 'much-rotated' });
    const old = Array.from({ length: 250 }, (_, index) => `sk-retired-secret-number-${index}`);
    await gateway.pool.query(
      `insert into gatewayctl.retired_tokens (token, key_id, expires_at)
       select unnest($1::text[]), id, now() + interval '1 hour' from gatewayctl.keys where alias = 'much-rotated'`,
      [old.map(hashSecret)],
    );
    for (const each of [old[0]!, old[249]!]) assert.equal((await gateway.chat(each, 'mock-gpt')).status, 200);
    const { status, text } = await admin('POST', '/key/block', { key: 'much-rotated' });
    assert.equal(status, 200, text);
    for (const each of [secret, old[0]!, old[249]!]) assert.equal((await gateway.chat(each, 'mock-gpt')).status, 401);
  });
});

describe('the admin routes', () => {
  test('are closed to a key that is no administrator’s, but for what it may know of itself', async () => {
    const secret = await aKey({ key_alias: 'plain', user_id: 'somebody' });
    const routes = operations
      .filter(({ access }) => access === 'admin')
      .flatMap(({ route, alsoAt = [] }) => [route].concat(alsoAt));
    assert.ok(routes.length > 25);
    for (const [method, path] of routes) {
      const answer = await gateway.request(method, path.replaceAll(/:\w+/g, 'x'), {
        key: secret,
        ...(method !== 'GET' && { body: {} }),
      });
      refused(answer, 403, 'auth_error');
      assert.match(answer.body.error.message, /Only proxy admin can be used to generate, delete, update info/);
    }

    const own = await gateway.request('GET', '/key/info', { key: secret });
    assert.equal(own.status, 200);
    assert.equal(own.body.info.key_alias, 'plain');
    assert.equal((await gateway.request('GET', '/key/info?key=plain', { key: secret })).status, 200);
    const others = await gateway.request('GET', '/key/info?key=first', { key: secret });
    const nobody = await gateway.request('GET', '/key/info?key=nobody', { key: secret });
    assert.equal(others.status, 404);
    assert.equal(others.body.error.message.replace('first', ''), nobody.body.error.message.replace('nobody', ''));
  });

  test('are open to the key of an administrator, until the role is taken away', async () => {
    await admin('POST', '/user/new', { user_id: 'chief', user_role: 'proxy_admin', auto_create_key: false });
    const secret = await aKey({ user_id: 'chief' });
    assert.equal((await gateway.request('GET', '/audit', { key: secret })).status, 200);
    await admin('POST', '/user/update', { user_id: 'chief', user_role: 'internal_user' });
    assert.equal((await gateway.request('GET', '/audit', { key: secret })).status, 403);
  });

  test('parse no body of a stranger', async () => {
    const { status } = await gateway.request('POST', '/key/generate', {
      key: '',
      headers: { 'content-type': 'application/json' },
      body: '{',
    });
    assert.equal(status, 401);
  });

  test('refuse what comes from a web page', async () => {
    for (const origin of ['https://evil.example', 'null', gateway.daemon.url]) {
      const answer = await gateway.request('GET', '/key/list', { headers: { origin } });
      refused(answer, 403, 'origin_not_allowed');
    }
  });

  test('take JSON only', async () => {
    const response = await fetch(`${gateway.daemon.url}/key/generate`, {
      method: 'POST',
      headers: { authorization: `Bearer ${gateway.daemon.masterKey}`, 'content-type': 'text/plain' },
      body: '{}',
    });
    assert.equal(response.status, 415);
    for (const body of ['{', '[]', 'null', '"x"', '{"a":\u{0}}']) {
      const wrong = await fetch(`${gateway.daemon.url}/key/generate`, {
        method: 'POST',
        headers: { authorization: `Bearer ${gateway.daemon.masterKey}`, 'content-type': 'application/json' },
        body,
      });
      assert.equal(wrong.status, 400, body);
    }
  });

  const tricks = [
    '/KEY/Generate',
    '/key/Generate',
    '/key/generate/',
    '//key/generate',
    '/key//generate',
    '/./key/generate',
    '/x/../key/generate',
    '/key/%67enerate',
    '/%6bey/generate',
    '/key/generate%2f',
    '/key%2fgenerate',
    '/key/generate%00',
    '/key/%2e/generate',
    '/key/%2e%2e/key/generate',
    '/key\\generate',
    '/key/generate;x=1',
    '/v1/models/../../key/generate',
    '/v1/models/%2e%2e/key/generate',
    '/key/generate#x',
    'http://evil.example/key/generate',
    '*',
    '/key/generate%20',
    '/key/generate%0a',
  ];
  for (const path of tricks) {
    test(`are not reached by ${path}`, async () => {
      const count = async () => (await gateway.pool.query('select count(*) as n from gatewayctl.keys')).rows[0].n;
      const keys = await count();
      for (const secret of [key, gateway.daemon.masterKey]) {
        const { status } = await raw(
          `POST ${path} HTTP/1.1\nHost: a\nAuthorization: Bearer ${secret}\nContent-Type: application/json\nContent-Length: 2\nConnection: close\n\n{}`,
        );
        assert.ok(status >= 400 && status < 500, `${status}`);
      }
      assert.equal(await count(), keys);
    });
  }

  for (const [what, head] of [
    ['two hosts', 'Host: a\nHost: b'],
    ['a path in the host', 'Host: a/key/generate'],
    ['a credential in the host', 'Host: a@b'],
    ['a query in the host', 'Host: a?x'],
    ['no host', 'X-Nothing: 1'],
  ] as const) {
    test(`refuse ${what}`, async () => {
      const { status } = await raw(
        `GET /key/list HTTP/1.1\n${head}\nAuthorization: Bearer ${gateway.daemon.masterKey}\nConnection: close\n\n`,
      );
      assert.equal(status, 400);
    });
  }

  test('answer a plain request of the same form', async () => {
    const { status } = await raw(
      `GET /key/list HTTP/1.1\nHost: a:4000\nAuthorization: Bearer ${gateway.daemon.masterKey}\nConnection: close\n\n`,
    );
    assert.equal(status, 200);
  });
});
