import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { after, before, describe, test } from 'node:test';
import { type Gateway, startGateway, until } from '../support/gateway.ts';

let gateway: Gateway;
let port: number;
let key: string;
before(async () => {
  gateway = await startGateway({ ownProcess: true });
  port = Number(new URL(gateway.daemon.url).port);
  key = (await gateway.request('POST', '/key/generate', { body: {} })).body.key;
  for (const name of ['acme/small', 'acme/v1/large']) {
    await gateway.request('POST', '/model/new', { body: { model_name: name, litellm_params: { model: 'mock/x' } } });
  }
});
after(() => gateway[Symbol.asyncDispose]());

interface Raw {
  readonly status: number;
  readonly head: string;
  readonly body: string;
}

/** What comes back for these bytes until the connection is closed. */
async function raw(text: string): Promise<Raw> {
  const socket = connect(port, '127.0.0.1');
  socket.write(text.replaceAll('\n', '\r\n'));
  let answer = '';
  for await (const chunk of socket.setEncoding('utf8')) answer += chunk;
  const [head = '', body = ''] = answer.split(/\r\n\r\n([\s\S]*)/);
  return { status: Number(/^HTTP\/1\.1 (\d{3})/.exec(answer)?.[1]), head, body };
}
const envelope = ({ head, body }: Raw) => {
  assert.match(head, /content-type: application\/json/i);
  assert.match(head, /connection: close/i);
  return JSON.parse(body).error;
};

describe('an escaped slash', () => {
  const chat = '{"messages":[{"role":"user","content":"x"}]}';
  const get = (path: string) =>
    raw(`GET ${path} HTTP/1.1\nHost: a\nAuthorization: Bearer ${key}\nConnection: close\n\n`);
  const post = (path: string, secret = key) =>
    raw(
      `POST ${path} HTTP/1.1\nHost: a\nAuthorization: Bearer ${secret}\nContent-Type: application/json\nContent-Length: ${chat.length}\nConnection: close\n\n${chat}`,
    );

  for (const path of ['/v1/models/acme%2Fsmall', '/models/acme%2fsmall', '/v1/models/acme%2fv1%2Flarge']) {
    test(`is a slash in ${path}`, async () => {
      const { status, body } = await get(path);
      assert.equal(status, 200, body);
      assert.match(body, /"id":"acme\//);
    });
  }
  for (const path of ['/openai/deployments/acme%2Fsmall/chat/completions', '/engines/acme%2fsmall/chat/completions']) {
    test(`is a slash in ${path}`, async () => {
      const { status, body } = await post(path);
      assert.equal(status, 200, body);
    });
  }
  for (const path of [
    '/v1%2Fmodels/acme',
    '/v1/models%2Facme',
    '/v1/models/acme%2f%2e%2e%2fsmall',
    '/v1/models/acme%2f..%2fsmall',
    '/v1/models/acme%2f%2fsmall',
    '/v1/models/%2fsmall',
    '/v1/models/acme%5csmall',
    '/v1/models/acme%252fsmall',
    '/v1/models/acme%00',
    '/v1/models/acme%0asmall',
    '/v1/models/acme%0dsmall',
    '/openai/deployments/a%2f..%2f..%2fkey%2fgenerate/chat/completions',
    '/openai/deployments/a%2Fb/chat%2Fcompletions',
    '/key%2Flist',
    '/key/list%2f',
  ]) {
    test(`is refused in ${path}`, async () => {
      for (const answer of [await get(path), await post(path), await post(path, gateway.daemon.masterKey)]) {
        assert.equal(answer.status, 400, answer.body);
        assert.equal(JSON.parse(answer.body).error.type, 'ambiguous_path');
      }
    });
  }
});

describe('a method', () => {
  for (const path of [
    '/health/liveliness',
    '/health/readiness',
    '/openapi.json',
    '/v1/models',
    '/models',
    '/key/list',
  ]) {
    test(`HEAD is answered like GET, without a body, at ${path}`, async () => {
      const head = await gateway.request('HEAD', path);
      const get = await gateway.request('GET', path);
      assert.equal(head.status, 200);
      assert.equal(head.text, '');
      assert.equal(head.headers.get('content-length'), get.headers.get('content-length'));
      assert.equal(head.headers.get('content-type'), get.headers.get('content-type'));
    });
  }

  for (const [method, path, allow] of [
    ['GET', '/v1/chat/completions', 'POST'],
    ['PUT', '/chat/completions', 'POST'],
    ['DELETE', '/openai/deployments/x/chat/completions', 'POST'],
    ['POST', '/v1/models', 'GET, HEAD'],
    ['DELETE', '/v1/models/x', 'GET, HEAD'],
    ['POST', '/health/liveliness', 'GET, HEAD'],
    ['POST', '/openapi.json', 'GET, HEAD'],
    ['GET', '/key/generate', 'POST'],
    ['POST', '/key/list', 'GET, HEAD'],
    ['OPTIONS', '/key/list', 'GET, HEAD'],
  ] as const) {
    test(`${method} is not taken at ${path}, which says what is`, async () => {
      const answer = await gateway.request(method, path, { key: '' });
      assert.equal(answer.status, 405, answer.text);
      assert.equal(answer.headers.get('allow'), allow);
      assert.equal(answer.body.error.type, 'method_not_allowed');
      assert.equal(answer.body.error.code, '405');
    });
  }

  test('at no route at all is 404', async () => {
    for (const method of ['GET', 'POST', 'DELETE']) {
      assert.equal((await gateway.request(method, '/nowhere')).status, 404);
    }
  });
});

describe('what is no request', { concurrency: true }, () => {
  test('is answered with the envelope when it is not HTTP', async () => {
    for (const text of ['nonsense\n\n', 'GET / HTTP/1.1\nHost: a\nbad header\n\n', 'GET / HTTP/9.9\n\n']) {
      const answer = await raw(text);
      assert.equal(answer.status, 400);
      assert.equal(envelope(answer).type, 'invalid_http');
    }
  });

  test('is answered with the envelope when its headers are too large', async () => {
    const answer = await raw(`GET / HTTP/1.1\nHost: a\nX-Long: ${'a'.repeat(20_000)}\n\n`);
    assert.equal(answer.status, 431);
    assert.equal(envelope(answer).type, 'headers_too_large');
  });

  test('is answered with the envelope when its headers do not come', { timeout: 30_000 }, async () => {
    const answer = await raw('GET / HTTP/1.1\nHost: a\n');
    assert.equal(answer.status, 408);
    assert.equal(envelope(answer).type, 'request_timeout');
  });

  test('is answered when an administrator’s body does not come', { timeout: 30_000 }, async () => {
    const answer = await raw(
      `POST /key/generate HTTP/1.1\nHost: a\nAuthorization: Bearer ${gateway.daemon.masterKey}\nContent-Type: application/json\nContent-Length: 100\n\n{"a"`,
    );
    assert.equal(answer.status, 408);
    assert.equal(envelope(answer).type, 'request_timeout');
  });

  test('is answered when an administrator’s body is too large', async () => {
    const answer = await fetch(`${gateway.daemon.url}/key/generate`, {
      method: 'POST',
      headers: { authorization: `Bearer ${gateway.daemon.masterKey}`, 'content-type': 'application/json' },
      body: 'x'.repeat(2_000_000),
    });
    assert.equal(answer.status, 413);
  });
});

describe('connections', () => {
  test('are closed in order after a thousand requests', async () => {
    const answer = await raw('GET /health/liveliness HTTP/1.1\nHost: a\n\n'.repeat(1_000));
    const heads = [...`${answer.head}\r\n\r\n${answer.body}`.matchAll(/^connection: (\S+)/gim)].map(
      ([, value]) => value,
    );
    assert.equal(heads.length, 1_000);
    assert.equal(heads[999]?.toLowerCase(), 'close');
    assert.ok(heads.slice(0, 999).every((value) => value?.toLowerCase() === 'keep-alive'));
  });

  test('beyond 500 from one address are told so and closed, until there is room', async () => {
    const { port: other, daemon } = { port, daemon: gateway.daemon };
    const sockets: Socket[] = [];
    const refused: string[] = [];
    try {
      for (let count = 0; count < 530; count++) {
        const socket = connect(other, '127.0.0.1');
        sockets.push(socket);
        socket.on('error', () => undefined);
        await once(socket, 'connect');
        let text = '';
        socket.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
        socket.on('end', () => refused.push(text));
      }
      await until(() => refused.length >= 30);
      assert.ok(refused.length <= 40, `${refused.length}: fetch may hold some of its own`);
      assert.match(refused[0]!, /^HTTP\/1\.1 503 /);
      assert.match(refused[0]!, /connection: close/i);
      assert.equal(JSON.parse(refused[0]!.split('\r\n\r\n')[1]!).error.type, 'too_many_connections');
      const answer = await raw('GET /health/liveliness HTTP/1.1\nHost: a\nConnection: close\n\n');
      assert.equal(answer.status, 503, 'a request that comes at once reads it too');
    } finally {
      for (const socket of sockets) socket.destroy();
    }
    await until(async () => {
      const { status } = await raw('GET /health/liveliness HTTP/1.1\nHost: a\nConnection: close\n\n').catch(() => ({
        status: 0,
      }));
      return status === 200;
    });
    assert.equal(daemon.child.exitCode, null);
  });
});
