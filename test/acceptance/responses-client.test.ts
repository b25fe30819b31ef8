import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { BadRequestError, NotFoundError, type OpenAI } from 'openai';
import { aResponse, responseStreams, upstreamId } from '../proxy/recorded-streams.ts';
import type { UpstreamRecord, UpstreamScript } from '../proxy/upstream.ts';
import { until } from '../support/gateway.ts';
import { aClient, costOf, nanoOf, oddRates, type Site, startSite } from './support.ts';

let site: Site;
before(async () => {
  site = await startSite();
});
after(() => site[Symbol.asyncDispose]());

async function clientOf(alias: string, flags = ''): Promise<OpenAI> {
  const key = await site.command(`key generate --alias ${alias} ${flags} -q`);
  return aClient(site, key, { maxRetries: 0 }).client;
}

const question = { model: 'odd', input: 'Hi' };
const reported = { prompt_tokens: 36, completion_tokens: 8, prompt_tokens_details: { cached_tokens: 12 } };

/** An upstream that keeps one response. */
function keeper({ path, body }: UpstreamRecord): UpstreamScript {
  if (path === '/v1/responses') {
    if (body['stream'] === true) return { chunks: responseStreams.text.events };
    return { answer: aResponse({ previous_response_id: body['previous_response_id'] ?? null }) };
  }
  if (path.endsWith('/input_items?limit=2&order=asc')) {
    const item = { id: 'msg_0', type: 'message', role: 'user', content: [{ type: 'input_text', text: 'Hi' }] };
    return { answer: { object: 'list', data: [item], first_id: 'msg_0', last_id: 'msg_0', has_more: false } };
  }
  if (path.endsWith('/cancel')) return { answer: aResponse({ status: 'cancelled' }) };
  if (path === `/v1/responses/${upstreamId}`) return { answer: aResponse() };
  return { status: 404, answer: { error: { message: `Nothing at ${path}`, type: 'invalid_request_error' } } };
}

async function rowsOf(alias: string, count: number) {
  const logs = () => site.json(`spend logs --key ${alias}`);
  await until(async () => (await logs()).length === count);
  return logs();
}

test('a response is made, continued, fetched, listed, cancelled and deleted under an id of the gateway', async () => {
  using _ = site.instead(keeper);
  const { responses } = await clientOf('keeper');
  const first = await responses.create(question);
  assert.equal(first.output_text, 'One two');
  assert.match(first.id, /^resp_/);
  assert.ok(!JSON.stringify(first).includes(upstreamId));

  const second = await responses.create({ ...question, previous_response_id: first.id, max_output_tokens: 64 });
  assert.equal(site.upstream.requests.at(-1)?.body['previous_response_id'], upstreamId);
  assert.equal(second.previous_response_id, first.id);

  assert.deepEqual(await responses.retrieve(first.id), first);
  const items = await responses.inputItems.list(first.id, { limit: 2, order: 'asc' });
  assert.deepEqual(
    items.data.map(({ id }) => id),
    ['msg_0'],
  );
  assert.equal((await responses.cancel(first.id)).status, 'cancelled');
  await responses.delete(first.id);
  const [deleting] = site.upstream.requests.slice(-1);
  assert.deepEqual([deleting?.path, deleting?.text], [`/v1/responses/${upstreamId}`, '']);

  const rows: { call_type: string; spend: number; total_tokens: number }[] = await rowsOf('keeper', 6);
  const paid = rows.filter(({ call_type: type }) => type === 'responses');
  assert.deepEqual(
    paid.map(({ spend, total_tokens: total }) => [nanoOf(spend), total]),
    Array.from({ length: 2 }, () => [costOf(reported, oddRates), 44]),
  );
  const free = rows.filter(({ spend }) => spend === 0).map(({ call_type: type }) => type);
  assert.deepEqual(free.toSorted(), ['cancel_responses', 'delete_responses', 'get_responses', 'list_input_items']);
});

test('a stream of a response has the id that can be asked for, in its first event and in its last', async () => {
  using _ = site.instead(keeper);
  const { responses } = await clientOf('streaming');
  const stream = responses.stream(question);
  const ids: string[] = [];
  let text = '';
  for await (const event of stream) {
    if ('response' in event) ids.push(event.response.id);
    if (event.type === 'response.output_text.delta') text += event.delta;
  }
  assert.equal(text, 'One two');
  assert.deepEqual([ids.length, new Set(ids).size], [2, 1]);
  assert.equal((await responses.retrieve(ids[0]!)).id, ids[0]);
  const rows = await rowsOf('streaming', 2);
  const row = rows.find(({ stream: isStream }: { stream: boolean }) => isStream);
  assert.equal(nanoOf(row.spend), costOf(reported, oddRates));
});

test('a response is there for its owner alone: not for another key, not by a forged id, not by the upstream’s own', async () => {
  using _ = site.instead(keeper);
  const own = await clientOf('owner');
  const { id } = await own.responses.create(question);
  const other = await clientOf('other');
  const heard = site.upstream.requests.length;
  const forged = `${id.slice(0, 8)}${id[8] === 'A' ? 'B' : 'A'}${id.slice(9)}`;
  for (const [client, named] of [
    [other, id],
    [own, forged],
    [own, `${id}=`],
    [own, upstreamId],
  ] as const) {
    for (const call of [
      () => client.responses.retrieve(named),
      () => client.responses.cancel(named),
      () => client.responses.delete(named),
      () => client.responses.inputItems.list(named),
    ]) {
      await assert.rejects(call, NotFoundError);
    }
    await assert.rejects(client.responses.create({ ...question, previous_response_id: named }), (error) => {
      assert.ok(error instanceof BadRequestError);
      assert.equal(error.type, 'previous_response_not_found');
      return true;
    });
  }
  assert.equal(site.upstream.requests.length, heard);
});

test('two keys of one user are one owner', async () => {
  using _ = site.instead(keeper);
  await site.command('user create --id grace --email grace@example.com');
  const { id } = await (await clientOf('grace-1', '--user grace')).responses.create(question);
  assert.equal((await (await clientOf('grace-2', '--user grace')).responses.retrieve(id)).id, id);
});

test('what could not be booked, or has no owner, is refused by name', async () => {
  const { responses } = await clientOf('wanting');
  const heard = site.upstream.requests.length;
  for (const field of [{ background: true }, { conversation: 'conv_1' }]) {
    await assert.rejects(responses.create({ ...question, ...field }), (error) => {
      assert.ok(error instanceof BadRequestError);
      assert.deepEqual([error.type, error.param], ['unsupported_field', Object.keys(field)[0]]);
      return true;
    });
  }
  assert.equal(site.upstream.requests.length, heard);
});
