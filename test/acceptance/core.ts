import assert from 'node:assert/strict';
import { until } from '../support/gateway.ts';
import { aClient, costOf, nanoOf, oddRates, question, type Site, sumOf } from './support.ts';

/** The text of a stream, and the usage it ended with if it did. */
async function read(stream: AsyncIterable<{ choices: { delta: { content?: string | null } }[]; usage?: unknown }>) {
  const seen = { text: '', usage: undefined as unknown, chunks: 0 };
  for await (const { choices, usage } of stream) {
    seen.chunks++;
    seen.text += choices[0]?.delta.content ?? '';
    if (usage) seen.usage = usage;
  }
  return seen;
}

/**
 * The gateway's main job, from the command line through the official client to the books: a team, a user and a key are
 * made, the key calls a model in every manner, and every figure anybody can ask for is the upstream's usage times the
 * price.
 */
export async function keyToBooks(site: Site): Promise<void> {
  const { reported, upstream } = site;
  const firstCall = reported.length;
  const team = await site.json('team create --alias writers');
  await site.command('user create --id anna --email anna@example.com --teams writers');
  const key = await site.command('key generate --alias notebook --team writers --user anna -q');
  const { client } = aClient(site, key);

  const plain = await client.chat.completions.create({ model: 'odd', ...question });
  assert.equal(plain.choices[0]?.message.content, 'Four words for you');
  assert.deepEqual(plain.usage, reported.at(-1));

  const { data, response } = await client.chat.completions.create({ model: 'odd', ...question }).withResponse();
  assert.deepEqual(data.usage, reported.at(-1));
  const costs = () => reported.slice(firstCall).map((usage) => costOf(usage, oddRates));
  assert.equal(nanoOf(Number(response.headers.get('x-litellm-response-cost'))), costs().at(-1));
  assert.equal(nanoOf(Number(response.headers.get('x-litellm-key-spend'))), sumOf(costs()));

  const silent = await read(await client.chat.completions.create({ model: 'odd', ...question, stream: true }));
  assert.equal(silent.text, 'Four words for you');
  assert.equal(silent.usage, undefined, 'a client that did not ask sees no usage');

  const stream_options = { include_usage: true };
  const asked = await client.chat.completions.create({ model: 'odd', ...question, stream: true, stream_options });
  const { text, usage, chunks } = await read(asked);
  assert.equal(text, 'Four words for you');
  assert.deepEqual(usage, reported.at(-1));
  assert.equal(chunks, silent.chunks + 1);

  assert.equal(reported.length - firstCall, 4);
  assert.equal(upstream.requests.at(-1)?.body['model'], 'odd-2026-11-01');
  await booksSay(site, { team: team.team_id, calls: 4, costs: costs(), usages: reported.slice(firstCall) });
}

interface Books {
  readonly team: string;
  readonly calls: number;
  readonly costs: readonly bigint[];
  readonly usages: readonly { prompt_tokens: number; completion_tokens: number }[];
}

async function booksSay(site: Site, { team, calls, costs, usages }: Books): Promise<void> {
  await until(async () => (await site.json('spend logs --key notebook')).length === calls);
  const logs: { request_id: string; spend: number }[] = await site.json('spend logs --key notebook');
  for (const [index, request] of site.upstream.requests.slice(-calls).entries()) {
    const { prompt_tokens, completion_tokens } = usages[index]!;
    const log = logs.find(({ request_id }) => request_id === request.headers['x-request-id']);
    assert.equal(nanoOf(log?.spend ?? NaN), costs[index]);
    assert.partialDeepStrictEqual(log, {
      prompt_tokens,
      completion_tokens,
      total_tokens: prompt_tokens + completion_tokens,
      stream: request.body['stream'] === true,
      status: 'success',
      http_status: 200,
      team_id: team,
      user: 'anna',
      model_group: 'odd',
      model: 'odd-2026-11-01',
      custom_llm_provider: 'openai',
      price_source: 'model_info',
      usage_estimated: false,
    });
  }

  const total = sumOf(costs);
  assert.equal(nanoOf((await site.json('key get notebook')).spend), total);
  assert.equal(nanoOf((await site.json('team get writers')).spend), total);
  assert.equal(nanoOf((await site.json('user get anna')).spend), total);
  for (const by of ['key', 'team', 'user', 'model', 'provider', 'day']) {
    const rows: { group: string; label: string | null }[] = await site.json(`spend report --by ${by}`);
    const row = rows.find(({ group, label }) => [group, label].some((name) => names.has(name ?? '')) || by === 'day');
    assert.partialDeepStrictEqual(row, {
      requests: calls,
      failed_requests: 0,
      prompt_tokens: usages.reduce((sum, { prompt_tokens }) => sum + prompt_tokens, 0),
      completion_tokens: usages.reduce((sum, { completion_tokens }) => sum + completion_tokens, 0),
      spend: Number(total) / 1e9,
    });
  }
}

const names = new Set(['notebook', 'writers', 'anna', 'odd', 'openai']);
