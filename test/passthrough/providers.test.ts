import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { type Gateway, startGateway, until } from '../support/gateway.ts';
import { PretendUpstream } from './upstream.ts';

let upstream: PretendUpstream;
let gateway: Gateway;
const canary = (name: string) => `operators-${name}-secret-0123456789`;

/** Where each provider's own clients put their key. */
const doors: Readonly<Record<string, { readonly header: string; readonly upstream: string; readonly path: string }>> = {
  openai: { header: 'authorization', upstream: 'authorization', path: '/v1/models' },
  anthropic: { header: 'x-api-key', upstream: 'x-api-key', path: '/v1/models' },
  azure: { header: 'api-key', upstream: 'api-key', path: '/openai/models' },
  gemini: { header: 'x-goog-api-key', upstream: 'x-goog-api-key', path: '/v1beta/models' },
  cohere: { header: 'authorization', upstream: 'authorization', path: '/v1/models' },
  mistral: { header: 'authorization', upstream: 'authorization', path: '/v1/models' },
  vllm: { header: 'authorization', upstream: 'authorization', path: '/v1/models' },
  assemblyai: { header: 'x-litellm-api-key', upstream: 'authorization', path: '/v2/transcript' },
  groq: { header: 'authorization', upstream: 'authorization', path: '/v1/models' },
  together: { header: 'authorization', upstream: 'authorization', path: '/v1/models' },
};
const variables: Readonly<Record<string, readonly [base: string, key: string]>> = {
  openai: ['OPENAI_API_BASE', 'OPENAI_API_KEY'],
  anthropic: ['ANTHROPIC_API_BASE', 'ANTHROPIC_API_KEY'],
  azure: ['AZURE_API_BASE', 'AZURE_API_KEY'],
  gemini: ['GEMINI_API_BASE', 'GEMINI_API_KEY'],
  cohere: ['COHERE_API_BASE', 'COHERE_API_KEY'],
  mistral: ['MISTRAL_API_BASE', 'MISTRAL_API_KEY'],
  vllm: ['HOSTED_VLLM_API_BASE', 'HOSTED_VLLM_API_KEY'],
  assemblyai: ['ASSEMBLYAI_API_BASE', 'ASSEMBLYAI_API_KEY'],
  groq: ['GROQ_API_BASE', 'GROQ_API_KEY'],
  together: ['TOGETHERAI_API_BASE', 'TOGETHERAI_API_KEY'],
};

before(async () => {
  upstream = await new PretendUpstream().listen();
  const env: Record<string, string> = {};
  for (const [name, [base, key]] of Object.entries(variables)) {
    env[base] = `${upstream.url}/${name}-base`;
    env[key] = canary(name);
  }
  gateway = await startGateway({ env });
});
after(async () => {
  await gateway[Symbol.asyncDispose]();
  await upstream[Symbol.asyncDispose]();
});

async function aKey(flags = ''): Promise<string> {
  const { out, err, exit } = await gateway.gatewayctl(`key generate ${flags} -o json`);
  assert.equal(exit, 0, err);
  return JSON.parse(out).key;
}

describe('a provider by its prefix', () => {
  for (const [name, { header, upstream: theirs, path }] of Object.entries(doors)) {
    test(`${name}: takes the caller’s key where its clients put it, and sends its own instead`, async () => {
      const key = await aKey();
      const value = header === 'authorization' ? `Bearer ${key}` : key;
      const answer = await gateway.request('GET', `/${name}${path}?limit=2`, { key: '', headers: { [header]: value } });
      assert.equal(answer.status, 200, answer.text);
      const { last } = upstream;
      assert.equal(last?.url, `/${name}-base${path}?limit=2`);
      assert.match(String(last?.headers[theirs]), new RegExp(canary(name)));
      assert.doesNotMatch(JSON.stringify(last), new RegExp(key));
    });
  }
});

test('a call is booked as its answer says', async () => {
  const key = await aKey();
  upstream.json({ usage: { prompt_tokens: 1_000, completion_tokens: 500 } });
  const body = { model: 'gpt-4o-mini', messages: [{ role: 'user', content: 'Hi' }], max_tokens: 900 };
  const answer = await gateway.request('POST', '/openai/v1/chat/completions', { key, body });
  assert.equal(answer.status, 200, answer.text);
  console.log([...answer.headers]);
  await until(async () => {
    const { rows } = await gateway.pool.query(
      `select * from gatewayctl.spend_logs where call_type = 'pass_through_endpoint' and model='gpt-4o-mini'`,
    );
    if (rows.length) console.log(rows);
    return rows.length > 0;
  });
});
