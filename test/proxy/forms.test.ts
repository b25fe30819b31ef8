import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { after, before, describe, test } from 'node:test';
import { Gateway, aDeployment, type Answer, until } from './gateway.ts';
import { startUpstream, type Upstream, type UpstreamRecord } from './upstream.ts';

const path = '/v1/audio/transcriptions';
const said = { text: 'Good day', usage: { type: 'duration', seconds: 3 } };

/** A form as a client may write it: each part with its header, and its bytes. */
function aForm(parts: readonly (readonly [header: string, content: string | Buffer])[], boundary = 'edge'): Buffer {
  const pieces = parts.flatMap(([header, content]) => [
    Buffer.from(`--${boundary}\r\n${header}\r\n\r\n`),
    Buffer.from(content as string),
    Buffer.from('\r\n'),
  ]);
  return Buffer.concat([...pieces, Buffer.from(`--${boundary}--\r\n`)]);
}

const named = (name: string): string => `Content-Disposition: form-data; name="${name}"`;
const aFile = (content: string | Buffer = 'sound', header = `${named('file')}; filename="a.mp3"`) =>
  [`${header}\r\nContent-Type: audio/mpeg`, content] as const;
const model = [named('model'), 'gpt-4o'] as const;

const send = (gateway: Gateway, body: Buffer, type = 'multipart/form-data; boundary=edge'): Promise<Answer> =>
  gateway.send(body, { path, headers: { 'content-type': type } });

/** The form that reached the upstream, by Node's own reader. */
const formOf = ({ bytes, headers }: UpstreamRecord): Promise<FormData> =>
  new Response(bytes, { headers: { 'content-type': headers['content-type'] ?? '' } }).formData();

const through = (url: string) => ({ deployments: [aDeployment({ apiBase: url })] });

test('a form goes upstream with another model, and each file byte for byte', async () => {
  await using upstream = await startUpstream({ answer: said });
  await using gateway = await Gateway.start(through(upstream.url));
  const file = Buffer.from([0, 255, 13, 10, 45, 45, 101, 100, 13, 10, 45, 45, 200]);

  const body = aForm([
    [named('timestamp_granularities[]'), 'word'],
    aFile(file, `${named('file')}; filename="na\\"me%22ä.mp3"`),
    model,
    [named('timestamp_granularities[]'), 'segment'],
    [named('prompt'), 'Grüße'],
  ]);
  const { status, json } = await send(gateway, body, 'multipart/form-data; charset=utf-8; boundary="edge"');

  assert.equal(status, 200);
  assert.deepEqual(json['text'], 'Good day');
  const form = await formOf(upstream.requests[0]!);
  assert.deepEqual(form.getAll('model'), ['gpt-4o-2024-08-06']);
  assert.deepEqual(form.getAll('timestamp_granularities[]'), ['word', 'segment']);
  assert.equal(form.get('prompt'), 'Grüße');
  const sent = form.get('file') as File;
  assert.equal(sent.name, 'na"me"ä.mp3');
  assert.equal(sent.type, 'audio/mpeg');
  assert.deepEqual(Buffer.from(await sent.arrayBuffer()), file);
  assert.deepEqual(gateway.outcome.usage?.units, { seconds: 3 });
});

test('a large file whose upstream hangs up in the middle of it goes to the next, announced or not, byte for byte', async () => {
  const cutting = createServer((socket) => socket.once('data', () => socket.destroy())).listen(0, '127.0.0.1');
  await once(cutting, 'listening');
  await using upstream = await startUpstream({ answer: said });
  const { port } = cutting.address() as AddressInfo;
  const deployments = [`http://127.0.0.1:${port}`, upstream.url].map((apiBase, order) =>
    aDeployment({ id: `at-${order}`, apiBase, params: { order } }),
  );
  await using gateway = await Gateway.start({ deployments, routing: { retries: 1 } });
  const file = randomBytes(9 * 1024 * 1024);
  const body = aForm([model, aFile(file)]);
  const type = 'multipart/form-data; boundary=edge';
  for (const [attempt, unannounced] of [{}, { 'transfer-encoding': 'chunked' }].entries()) {
    const { status, text } = await gateway.send(body, { path, headers: { 'content-type': type, ...unannounced } });
    assert.equal(status, 200, text);
    const request = upstream.requests[attempt];
    assert.ok(request, 'it has reached the second');
    const got = (await formOf(request)).get('file') as File;
    assert.ok(file.equals(Buffer.from(await got.arrayBuffer())), 'byte for byte');
    assert.equal(request.headers['transfer-encoding'], undefined, 'how long it is is known');
  }
  cutting.close();
});

describe('a form is refused, and nothing of it goes upstream', () => {
  const refused: [title: string, body: Buffer, message: RegExp, type?: string][] = [
    ['that names two models', aForm([model, [named('model'), 'gpt-5'], aFile()]), /model is in the form twice/],
    ['whose model is a file', aForm([[`${named('model')}; filename="x"`, 'gpt-4o'], aFile()]), /model must be a text/],
    [
      'with a text that some servers take for none',
      aForm([model, [`${named('n')}; filename=""`, '9'], aFile()]),
      /n must be/,
    ],
    ['that says model as a list', aForm([model, [named('model[]'), 'gpt-5'], aFile()]), /model\[\] could be read as/],
    ['that says Model', aForm([model, [named('Model'), 'gpt-5'], aFile()]), /Model could be read as another/],
    ['that sets the upstream', aForm([model, [named('api_base'), 'http://x'], aFile()]), /api_base cannot be set/],
    ['that sets it in brackets', aForm([model, [named('extra_body[api_base]'), 'x'], aFile()]), /cannot be set/],
    ['that has two names', aForm([model, [`${named('user')}; name="model"`, 'x'], aFile()]), /says name twice/],
    ['that has no file', aForm([model]), /file must be one file/],
    ['that has two', aForm([model, aFile(), aFile()]), /file must be one file/],
    ['that has no model', aForm([aFile()]), /model is required/],
    [
      'in Base64',
      aForm([model, aFile('c291bmQ=', `${named('file')}; filename="a"\r\nContent-Transfer-Encoding: base64`)]),
      /transfer encoding/,
    ],
    [
      'that begins before its boundary',
      Buffer.concat([Buffer.from('hi\r\n'), aForm([model, aFile()])]),
      /does not begin/,
    ],
    ['that goes on behind its end', Buffer.concat([aForm([model, aFile()]), Buffer.from('--edge')]), /goes on behind/],
    ['that is cut off', aForm([model, aFile()]).subarray(0, -10), /is not ended/],
    ['that is cut in its end', aForm([model, aFile()]).subarray(0, -4), /is cut off/],
    [
      'whose boundary goes on',
      Buffer.from(aForm([model, aFile()]).toString().replace('--edge\r\n', '--edgeX\r\n')),
      /behind a boundary/,
    ],
    ['without a boundary', aForm([model, aFile()]), /no boundary/, 'multipart/form-data; charset=utf-8'],
    [
      'with a line end in a header',
      aForm([model, aFile('x', `${named('file')}; filename="a"\nX: y`)]),
      /cannot be read/,
    ],
    ['with no name', aForm([model, ['Content-Disposition: form-data; name=""', 'x'], aFile()]), /whose name is none/],
    [
      'with a text that is no UTF-8',
      aForm([model, [named('prompt'), Buffer.from([0xff])], aFile()]),
      /not valid UTF-8/,
    ],
    [
      'with more parts than anybody has',
      aForm([model, ...Array.from({ length: 100 }, () => [named('a[]'), ''] as const)]),
      /more than 100 parts/,
    ],
    [
      'that is neither streamed nor not',
      aForm([model, [named('stream'), '1'], aFile()]),
      /stream must be true or false/,
    ],
  ];
  let upstream: Upstream;
  let gateway: Gateway;
  before(async () => {
    upstream = await startUpstream({ answer: said });
    gateway = await Gateway.start(through(upstream.url));
  });
  after(async () => {
    await gateway[Symbol.asyncDispose]();
    await upstream[Symbol.asyncDispose]();
  });
  for (const [title, body, message, type] of refused) {
    test(title, async () => {
      const { status, json } = await send(gateway, body, type);
      assert.equal(status, 400, JSON.stringify(json));
      assert.match(String(json.error['message']), message);
      assert.equal(upstream.requests.length, 0);
    });
  }

  test('no sooner or later because of its blanks', async () => {
    const blanks = ' '.repeat(3_900);
    const used = process.cpuUsage();
    for (const header of [`${named('a[]')}\r\nx-more: x${blanks}x`, `${named('a[]')}; b=${blanks}; c=d`]) {
      await send(gateway, aForm([model, ...Array.from({ length: 97 }, () => [header, ''] as const)]));
    }
    // They took 2 s each, in which nobody else was served.
    assert.ok(process.cpuUsage(used).user < 1_500_000);
  });

  test('that is no form, or larger than forms may be', async () => {
    await using narrow = await Gateway.start({ limits: { formBytes: 20_000, bodyBytes: 1_000 } });
    assert.equal((await send(narrow, Buffer.from('{}'), 'application/json')).status, 415);
    assert.equal((await send(narrow, aForm([model, aFile(Buffer.alloc(20_001))]))).status, 413);
    const json = await narrow.send(aForm([model]), {
      headers: { 'content-type': 'multipart/form-data; boundary=edge' },
    });
    assert.equal(json.status, 415);
  });
});

test('forms have places of their own, so that files do not fill the memory', async () => {
  await using upstream = await startUpstream({ answer: said, silentAfter: 1 });
  await using gateway = await Gateway.start({ ...through(upstream.url), limits: { forms: 1 } });
  const first = send(gateway, aForm([model, aFile()])).catch(() => undefined);
  await until('the first is under way', () => upstream.requests.length === 1);

  const second = await send(gateway, aForm([model, aFile()]));
  assert.equal(second.status, 503);
  assert.match(String(second.json.error['message']), /as many files/);

  gateway.hangUp();
  await first;
  await until('the first is over', () => gateway.proxy.inFlight === 0);
  upstream.script({ answer: said });
  assert.equal((await send(gateway, aForm([model, aFile()]))).status, 200);
});
