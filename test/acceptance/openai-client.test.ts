import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { calcPrice } from '@pydantic/genai-prices';
import {
  AuthenticationError,
  BadRequestError,
  InternalServerError,
  PermissionDeniedError,
  RateLimitError,
} from 'openai';
import { until } from '../support/gateway.ts';
import { keyToBooks } from './core.ts';
import { aClient, masterKey, nanoOf, question, type Site, startSite, upstreamKey } from './support.ts';
let site: Site;
before(async () => {
  site = await startSite();
});
after(() => site[Symbol.asyncDispose]());

test('what a key, its team and its user have spent is what the upstream reported times the price', () =>
  keyToBooks(site));

test('a model of the catalogue costs what the catalogue says, and one that nobody knows is marked', async () => {
  const key = await site.command('key generate --alias shopper -q');
  const { client } = aClient(site, key);
  await client.chat.completions.create({ model: 'gpt-4o', ...question });
  const { prompt_tokens, completion_tokens, prompt_tokens_details } = site.reported.at(-1)!;
  await client.chat.completions.create({ model: 'home-made', ...question });

  const logs = () => site.json('spend logs --key shopper');
  await until(async () => (await logs()).length === 2);
  const rows: { model: string; spend: number }[] = await logs();
  const listed = calcPrice(
    {
      input_tokens: prompt_tokens,
      cache_read_tokens: prompt_tokens_details.cached_tokens,
      output_tokens: completion_tokens,
    },
    'gpt-4o',
    { providerId: 'openai' },
  );
  const row = (name: string) => rows.find(({ model }) => model === name);
  assert.equal(nanoOf(row('gpt-4o')?.spend ?? NaN), BigInt(Math.round((listed?.total_price ?? NaN) * 1e9)));
  assert.partialDeepStrictEqual(row('gpt-4o'), { price_source: 'catalogue', status: 'success' });
  assert.partialDeepStrictEqual(row('home-made'), { spend: 0, price_source: 'unpriced', status: 'success' });
  assert.equal((await site.json('key get shopper')).spend, row('gpt-4o')?.spend);
});

test('the list of models is the one that the key may call', async () => {
  const everything = await site.command('key generate --alias wide -q');
  const one = await site.command('key generate --alias narrow --models gpt-4o -q');
  const idsFor = async (key: string) => (await aClient(site, key).client.models.list()).data.map(({ id }) => id);
  assert.deepEqual(await idsFor(everything), ['odd', 'gpt-4o', 'home-made', 'claude']);
  assert.deepEqual(await idsFor(one), ['gpt-4o']);
});

test('a model that is not there', async () => {
  const { client } = aClient(site, masterKey);
  await assert.rejects(client.chat.completions.create({ model: 'nowhere', ...question }), (error) => {
    assert.ok(error instanceof BadRequestError);
    assert.match(error.message, /Invalid model name passed in model=nowhere/);
    assert.equal(error.param, 'model');
    return true;
  });
});

test('a key that is none', async () => {
  const { client } = aClient(site, 'sk-this-is-no-key');
  await assert.rejects(client.chat.completions.create({ model: 'odd', ...question }), (error) => {
    assert.ok(error instanceof AuthenticationError);
    assert.ok(!error.message.includes('sk-this-is-no-key'), 'a credential is not sent back');
    return true;
  });
});

test('a model that the key may not call', async () => {
  const key = await site.command('key generate --alias gpt-only --models gpt-4o -q');
  const calling = aClient(site, key);
  const heard = site.upstream.requests.length;
  await assert.rejects(calling.client.chat.completions.create({ model: 'odd', ...question }), (error) => {
    assert.ok(error instanceof PermissionDeniedError);
    assert.equal(error.type, 'key_model_access_denied');
    assert.match(error.message, /can only access models=\[gpt-4o\]/);
    return true;
  });
  assert.equal(site.upstream.requests.length, heard);
});

test('a budget that is used up is a rate limit error that the client does not try again', async () => {
  const key = await site.command('key generate --alias poor --max-budget 0.000001 -q');
  const calling = aClient(site, key);
  const heard = site.upstream.requests.length;
  await assert.rejects(calling.client.chat.completions.create({ model: 'odd', ...question }), (error) => {
    assert.ok(error instanceof RateLimitError);
    assert.equal(error.type, 'budget_exceeded');
    assert.equal(error.headers.get('x-should-retry'), 'false');
    assert.match(error.message, /Budget has been exceeded! Current cost: 0, Max budget: 0\.000001/);
    return true;
  });
  assert.equal(calling.requests, 1, 'with the two retries a client has from the start, which it did not use');
  assert.equal(site.upstream.requests.length, heard);
});

const refusals = [
  { status: 429, error: RateLimitError },
  { status: 500, error: InternalServerError },
] as const;

for (const { status, error: expected } of refusals) {
  test(`an upstream's ${status} comes through as what it is, is tried again by the client, and costs nothing`, async () => {
    const alias = `refused-${status}`;
    const calling = aClient(site, await site.command(`key generate --alias ${alias} -q`), { maxRetries: 1 });
    const said = { message: 'Not now', type: 'a_type', param: null, code: 'a_code' };
    using _ = site.instead({ status, headers: { 'retry-after': '0' }, answer: { error: said } });
    await assert.rejects(calling.client.chat.completions.create({ model: 'odd', ...question }), (error) => {
      assert.ok(error instanceof expected);
      assert.deepEqual([error.status, error.type, error.code], [status, 'a_type', 'a_code']);
      assert.match(error.message, /Not now/);
      return true;
    });
    assert.equal(calling.requests, 2);
    const logs = () => site.json(`spend logs --key ${alias}`);
    await until(async () => (await logs()).length === 2);
    for (const log of await logs()) {
      assert.partialDeepStrictEqual(log, { status: 'failure', http_status: status, spend: 0, total_tokens: 0 });
    }
    assert.equal((await site.json(`key get ${alias}`)).spend, 0);
  });
}

test('the upstream gets its own credential and nothing of the client', async () => {
  const key = await site.command('key generate --alias curious -q');
  await aClient(site, key).client.chat.completions.create({ model: 'odd', ...question, user: 'someone' });
  const { headers, text, path } = site.upstream.requests.at(-1)!;
  assert.equal(path, '/v1/chat/completions');
  assert.equal(headers.authorization, `Bearer ${upstreamKey}`);
  assert.ok(!JSON.stringify(headers).includes(key) && !text.includes(key));
  assert.deepEqual(
    Object.keys(headers).filter((name) => name.startsWith('x-stainless')),
    [],
  );
});
