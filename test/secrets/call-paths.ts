import assert from 'node:assert/strict';
import { inTurns } from './admin-paths.ts';
import { unique } from './canaries.ts';
import { aCompletion, type UpstreamRecord, type UpstreamScript } from '../proxy/upstream.ts';
import { lookalikes, textOf, type World } from './world.ts';

const schemes = [
  'authorization',
  'x-litellm-api-key',
  'x-api-key',
  'api-key',
  'x-goog-api-key',
  'ocp-apim-subscription-key',
];

/** Credentials that are none, in every header that one can stand in, and headers that say other things. */
export async function bringCredentials(world: World, keys: readonly string[]): Promise<number> {
  const { request, planted, canaries, token } = world;
  const strangers = schemes.map((header) => planted(`unknown key in ${header}`, 'sk-'));
  const others = Object.entries(lookalikes()).map(([name, [text, core]]) =>
    canaries.plant(`${name} as a credential`, text, { core }),
  );
  const basic = Buffer.from(`user:${planted('password in Basic')}`).toString('base64');
  const jobs: (() => Promise<unknown>)[] = [];
  for (const key of [...strangers, ...others, ...keys, token, `${token}x`, `Basic ${basic}`]) {
    for (const [index, header] of schemes.entries()) {
      const value = index === 0 && !/^B(earer|asic) /.test(key) ? `Bearer ${key}` : key;
      const headers = { [header]: value };
      const [method, path] = index % 2 === 0 ? ['GET', '/key/list'] : ['POST', '/v1/chat/completions'];
      jobs.push(() =>
        request(method, path, { key: '', headers, ...(method === 'POST' && { body: { model: 'mock-gpt' } }) }),
      );
    }
  }
  for (const name of [
    'user-agent',
    'referer',
    'origin',
    'cookie',
    'x-request-id',
    'x-forwarded-for',
    'forwarded',
    'traceparent',
  ].concat('litellm-changed-by', 'x-custom', 'accept', 'content-type', 'if-none-match', 'openai-organization')) {
    const value = planted(`header ${name}`, 'sk-');
    for (const key of ['', world.daemon.masterKey]) {
      for (const path of ['/key/list', '/nowhere'])
        jobs.push(() => request('GET', path, { key, headers: { [name]: value } }));
      jobs.push(() => request('POST', '/key/update', { key, headers: { [name]: value }, body: { key: 'none' } }));
    }
  }
  await inTurns(jobs, 8);
  return jobs.length;
}

const echoed = ({ headers, text }: UpstreamRecord) => `${headers.authorization} ${JSON.stringify(headers)} ${text}`;

/** What an upstream may say and do, with all that it was told repeated in every place. */
const scripts: Readonly<Record<string, (request: UpstreamRecord) => UpstreamScript>> = Object.fromEntries([
  ...[400, 401, 403, 404, 409, 422, 429, 500, 503].flatMap(
    (status) =>
      [
        [
          `error ${status}`,
          (asked: UpstreamRecord) => ({
            status,
            answer: {
              error: {
                message: credentialsOf(asked),
                type: credentialsOf(asked),
                param: credentialsOf(asked),
                code: credentialsOf(asked),
              },
            },
          }),
        ],
        [
          `page ${status}`,
          (asked: UpstreamRecord) => ({
            status,
            answer: `<html>${echoed(asked)}</html>`,
            headers: { 'x-echo': credentialsOf(asked), 'set-cookie': `key=${credentialsOf(asked)}` },
          }),
        ],
      ] as const,
  ),
  [
    'redirect',
    (asked) => ({
      status: 302,
      answer: echoed(asked),
      headers: { location: `http://127.0.0.1:9/?key=${credentialsOf(asked)}` },
    }),
  ],
  [
    'answer',
    (asked) => ({
      answer: { ...aCompletion(credentialsOf(asked)) },
      headers: {
        'x-request-id': credentialsOf(asked),
        'openai-organization': credentialsOf(asked),
        'x-ratelimit-limit-requests': credentialsOf(asked),
      },
    }),
  ],
  ['events', (asked) => ({ text: credentialsOf(asked) })],
  ['no JSON', (asked) => ({ answer: echoed(asked) })],
  ['another shape', (asked) => ({ answer: [echoed(asked)] })],
  ['nothing', () => ({ answer: '' })],
  ['cut', () => ({ cutAfter: 100 })],
  ['cut at once', () => ({ cutAfter: 0 })],
  ['broken event', (asked) => ({ chunks: [`data: {${echoed(asked).replaceAll('\n', ' ')}\n\n`] })],
  [
    'error event',
    (asked) => ({ chunks: [`data: ${JSON.stringify({ error: { message: credentialsOf(asked) } })}\n\n`] }),
  ],
] as [string, (request: UpstreamRecord) => UpstreamScript][]);

const credentialsOf = ({ headers }: UpstreamRecord): string =>
  `Incorrect API key provided: ${headers.authorization}; ${headers.authorization?.replace('Bearer ', '')}.`;

/** Calls that end in every way there is. The models are those whose credential stands where a provider could quote it. */
export async function callModels(world: World, key: string): Promise<number> {
  const { upstream, daemon, canaries, told } = world;
  let count = 0;
  const call = async (where: string, model: string, stream: boolean) => {
    const prompt = canaries.plant(`prompt of ${where}`, unique(), { kind: 'content' });
    const answer = await daemon.chat(key, model, {
      stream,
      messages: [{ role: 'user', content: prompt }],
      metadata: { note: prompt },
      tools: [{ type: 'function', function: { name: prompt } }],
    });
    // What the caller has said may be said to the caller.
    told.push({ where: `${where} ${answer.status}`, text: textOf(answer).replaceAll(prompt, '') });
    count++;
  };
  for (const [name, script] of Object.entries(scripts)) {
    upstream.script(script);
    for (const model of ['in-config', 'plain-in-config', 'in-environment', 'kept', 'by-credential']) {
      const stream = name.includes('event') || (name !== 'answer' && count % 2 === 0);
      await call(`${name} of ${model}`, model, stream).catch((error: unknown) => {
        // The connection is cut in the middle of a stream: the one way left to say so.
        assert.match(String(error), /terminated|fetch failed/);
      });
    }
  }
  upstream.script({ silentAfter: 10 });
  await Promise.all([call('silence', 'in-config', false), call('silent stream', 'kept', true)]);
  upstream.script({ firstByteMs: 5_000 });
  await Promise.all([call('late', 'in-config', false), call('late stream', 'by-credential', true)]);
  for (const model of ['unreachable', 'none']) await call(model, model, false);
  for (const body of [
    { model: 'mock-gpt', messages: canaries.plant('prompt that is no list', unique(), { kind: 'content' }) },
  ]) {
    told.push({ where: 'bad body', text: (await daemon.request('POST', '/v1/chat/completions', { key, body })).text });
  }
  upstream.script({});
  const completion = canaries.plant('completion', unique(), { kind: 'content' });
  upstream.script({ text: completion });
  for (const stream of [false, true]) {
    const { text } = await daemon.chat(key, 'in-config', { stream });
    assert.ok(text.includes(completion), 'whoever asked is answered');
    count++;
  }
  return count;
}
