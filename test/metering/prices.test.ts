import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { GatewayError } from '../../src/kernel/errors.ts';
import type { CallType } from '../../src/metering/call.ts';
import { parsePrice, textFor } from '../../src/metering/price.ts';
import { Prices } from '../../src/metering/prices.ts';
import { defaultMaxCompletionTokens, worstCase } from '../../src/metering/worst-case.ts';
import { costOf, parseRate } from '../../src/metering/rates.ts';
import type { Usage } from '../../src/metering/usage.ts';
import { aDeployment, aUsage } from './support.ts';

const prices = await Prices.load();
const at = new Date('2026-03-01T12:00:00Z');

const cost = (info: Record<string, unknown>, usage: Partial<Usage>) => {
  const deployment = aDeployment({ info });
  return costOf(prices.of(deployment, deployment.upstreamModel, at).bands, aUsage(usage));
};

describe('the price of a call', () => {
  const cases: [title: string, info: Record<string, unknown>, usage: Partial<Usage>, nano: bigint][] = [
    [
      'is the sum of its tokens',
      { input_cost_per_token: 1.5e-6, output_cost_per_token: 2e-6 },
      { promptTokens: 9, completionTokens: 12 },
      37_500n,
    ],
    [
      'keeps fractions of a nano-dollar until the end',
      { input_cost_per_token: 3.75e-8 },
      { promptTokens: 1_000_001 },
      37_500_038n,
    ],
    ['is rounded half up, once', { input_cost_per_token: 5e-10 }, { promptTokens: 1 }, 1n],
    ['is not rounded up below half', { input_cost_per_token: 4e-10 }, { promptTokens: 1 }, 0n],
    [
      'is exact where doubles are not',
      { input_cost_per_token: 1e-7, output_cost_per_token: 2e-7 },
      { promptTokens: 3, completionTokens: 3 },
      900n,
    ],
    [
      'takes cached tokens out of the prompt',
      { input_cost_per_token: 1e-6, cache_read_input_token_cost: 1e-7 },
      { promptTokens: 100, cacheReadTokens: 80 },
      28_000n,
    ],
    [
      'charges cached tokens as input when they have no price',
      { input_cost_per_token: 1e-6 },
      { promptTokens: 100, cacheReadTokens: 80 },
      100_000n,
    ],
    [
      'charges writing a cache apart',
      { input_cost_per_token: 1e-6, cache_creation_input_token_cost: 1.25e-6 },
      { promptTokens: 100, cacheWriteTokens: 40 },
      110_000n,
    ],
    [
      'charges what is kept in a cache for an hour apart from the rest',
      {
        input_cost_per_token: 1e-6,
        cache_creation_input_token_cost: 1.25e-6,
        cache_creation_input_token_cost_above_1hr: 2e-6,
      },
      { promptTokens: 100, cacheWriteTokens: 40, cacheWriteHourTokens: 10 },
      60_000n + 37_500n + 20_000n,
    ],
    [
      'charges it as any that is written to a cache where an hour has no price',
      { input_cost_per_token: 1e-6, cache_creation_input_token_cost: 1.25e-6 },
      { promptTokens: 100, cacheWriteTokens: 40, cacheWriteHourTokens: 10 },
      110_000n,
    ],
    [
      'charges reasoning as output when it has no price',
      { output_cost_per_token: 2e-6 },
      { completionTokens: 10, reasoningTokens: 4 },
      20_000n,
    ],
    [
      'charges reasoning at its own price',
      { output_cost_per_token: 2e-6, output_cost_per_reasoning_token: 3e-6 },
      { completionTokens: 10, reasoningTokens: 4 },
      24_000n,
    ],
    [
      'charges audio at its own price',
      { input_cost_per_token: 1e-6, input_cost_per_audio_token: 1e-5 },
      { promptTokens: 10, audioInputTokens: 4 },
      46_000n,
    ],
    [
      'adds what a request costs',
      { input_cost_per_request: 0.01, input_cost_per_token: 0 },
      { promptTokens: 5 },
      10_000_000n,
    ],
    [
      'changes for the whole call above a tier',
      { input_cost_per_token: 1e-6, input_cost_per_token_above_200k_tokens: 2e-6 },
      { promptTokens: 200_001 },
      400_002_000n,
    ],
    [
      'stays below a tier',
      { input_cost_per_token: 1e-6, input_cost_per_token_above_200k_tokens: 2e-6 },
      { promptTokens: 200_000 },
      200_000_000n,
    ],
    ['reads prices given as text', { input_cost_per_token: '0.000001' }, { promptTokens: 1 }, 1_000n],
    [
      'counts negative usage as none',
      { input_cost_per_token: 1e-6 },
      { promptTokens: -5, completionTokens: Number.NaN },
      0n,
    ],
    [
      'counts no more cached tokens than there are',
      { input_cost_per_token: 1e-6, cache_read_input_token_cost: 0 },
      { promptTokens: 10, cacheReadTokens: 1e12 },
      0n,
    ],
    ['ends at a million dollars', { input_cost_per_token: 1 }, { promptTokens: 1e300 }, 1_000_000_000_000_000n],
  ];
  for (const [title, info, usage, nano] of cases) {
    test(title, () => assert.equal(cost(info, usage), nano));
  }

  for (const price of [-1e-6, Number.NaN, Number.POSITIVE_INFINITY, 1e9, 'free', '']) {
    test(`is refused when it is ${price || 'empty'}`, () => {
      assert.throws(
        () => cost({ input_cost_per_token: price }, {}),
        (error: GatewayError) => error.type === 'invalid_price',
      );
    });
  }

  test('is read from params where info has none', () => {
    const deployment = aDeployment({ info: { input_cost_per_token: null }, params: { input_cost_per_token: 1e-6 } });
    assert.equal(costOf(prices.of(deployment, 'x', at).bands, aUsage({ promptTokens: 1 })), 1_000n);
  });

  test('is exact for every decimal price and every count', () => {
    for (let round = 0; round < 2_000; round++) {
      const digits = Math.floor(Math.random() * 1e6);
      const zeros = Math.floor(Math.random() * 6);
      const rate = parseRate(Number(`${digits}e-${12 + zeros}`));
      assert.equal(rate, BigInt(digits) * 10n ** BigInt(6 - zeros));
    }
  });
});

describe('the catalogue', () => {
  test('prices a model that the operator gave no price', () => {
    const price = prices.of(aDeployment({ provider: 'openai', info: {} }), 'gpt-4o', at);
    assert.equal(price.source, 'catalogue');
    assert.equal(
      costOf(price.bands, aUsage({ promptTokens: 1_000, cacheReadTokens: 400, completionTokens: 100 })),
      3_000_000n,
    );
  });

  test('knows tiers', () => {
    const { bands } = prices.of(aDeployment({ provider: 'gemini', info: {} }), 'gemini-2.5-pro', at);
    assert.equal(costOf(bands, aUsage({ promptTokens: 200_000 })), 250_000_000n);
    assert.equal(costOf(bands, aUsage({ promptTokens: 200_001 })), 500_002_500n);
  });

  test('knows prices by date', () => {
    const deployment = aDeployment({ provider: 'openai', info: {} });
    const before = prices.of(deployment, 'o3', new Date('2025-06-01T00:00:00Z'));
    const after = prices.of(deployment, 'o3', new Date('2025-07-01T00:00:00Z'));
    const usage = aUsage({ promptTokens: 1_000_000 });
    assert.deepEqual([costOf(before.bands, usage), costOf(after.bands, usage)], [10_000_000_000n, 2_000_000_000n]);
  });

  test('looks a deployment of its own name up by its base model', () => {
    const deployment = aDeployment({ provider: 'azure', info: { base_model: 'azure/gpt-4o' } });
    assert.equal(prices.of(deployment, 'my-deployment', at).source, 'catalogue');
  });

  test('leaves a model that nobody knows unpriced, and says so once', async () => {
    const unpriced: string[] = [];
    const own = await Prices.load((provider, model) => unpriced.push(`${provider}/${model}`));
    const deployment = aDeployment({ provider: 'hosted_vllm', info: {} });
    const price = own.of(deployment, 'mine', at);
    own.of(deployment, 'mine', at);
    assert.equal(price.source, 'unpriced');
    assert.equal(costOf(price.bands, aUsage({ promptTokens: 1_000 })), 0n);
    assert.deepEqual(unpriced, ['hosted_vllm/mine']);
  });
});

describe('the worst case', () => {
  const info = { input_cost_per_token: 1e-6, cache_creation_input_token_cost: 2e-6, output_cost_per_token: 3e-6 };
  const worst = (extra: Record<string, unknown>, prompt: number, completion: number | undefined) => {
    const deployment = aDeployment({ info: { ...info, ...extra } });
    const { bands } = prices.of(deployment, 'x', at);
    return worstCase(bands, deployment, { promptTokens: prompt, maxCompletionTokens: completion });
  };

  test('takes every token in its dearest bucket', () => assert.equal(worst({}, 10, 10), 50_000n));
  test('takes the most the model can answer when the request sets no limit', () =>
    assert.equal(worst({ max_output_tokens: 100 }, 0, undefined), 300_000n));
  test('takes no more than the model can answer', () =>
    assert.equal(worst({ max_output_tokens: 100 }, 0, 1e9), 300_000n));
  test('takes a stated default when nobody sets a limit', () =>
    assert.equal(worst({}, 0, undefined), BigInt(defaultMaxCompletionTokens) * 3_000n));

  test('takes every answer asked for at its longest', () => {
    const deployment = aDeployment({ info: { ...info, max_output_tokens: 100 } });
    const { bands } = prices.of(deployment, 'x', at);
    const worstOf = (maxCompletionTokens: number | undefined, answers: number) =>
      worstCase(bands, deployment, { promptTokens: 0, maxCompletionTokens, answers });
    assert.equal(worstOf(100, 10), 3_000_000n);
    assert.equal(worstOf(1_000, 10), 3_000_000n);
    assert.equal(worstOf(undefined, 50), 15_000_000n);
  });

  test('is never less than the cost, whatever the buckets', () => {
    for (let round = 0; round < 500; round++) {
      const prompt = Math.floor(Math.random() * 1_000);
      const completion = Math.floor(Math.random() * 1_000);
      const usage = {
        promptTokens: prompt,
        completionTokens: completion,
        cacheWriteTokens: prompt * Math.random(),
        reasoningTokens: completion * Math.random(),
      };
      assert.ok(cost(info, usage) <= worst({}, prompt, completion));
    }
  });
});

test('a price survives its way through the journal', () => {
  const price = prices.of(aDeployment({ provider: 'anthropic', info: {} }), 'claude-sonnet-4-5', at);
  const { parts: _, ...kept } = price;
  assert.deepEqual(parsePrice(price.text), kept);
});

describe('what is paid for by something else than tokens', () => {
  const perUnit = {
    output_cost_per_image: 0.04,
    input_cost_per_image: 0.01,
    input_cost_per_pixel: 1.9e-8,
    input_cost_per_character: 1.5e-5,
    input_cost_per_second: 0.0001,
    input_cost_per_query: 0.002,
  };
  const cases: [title: string, units: Usage['units'], nano: bigint][] = [
    ['an image, at the dearer of its two prices', { images: 2 }, 80_000_000n],
    ['a pixel', { pixels: 1_024 * 1_024 }, 19_922_944n],
    ['a character', { characters: 7 }, 105_000n],
    ['a second, to the millisecond', { seconds: 9.4711 }, 947_100n],
    ['a search', { queries: 3 }, 6_000_000n],
    ['nothing, where the amount is no number', { seconds: Number.NaN, images: -1 }, 0n],
  ];
  for (const [title, units, nano] of cases) {
    test(title, () => assert.equal(cost(perUnit, { units }), nano));
    test(`${title}, and is reserved like that`, () => {
      const deployment = aDeployment({ info: perUnit });
      const { bands } = prices.of(deployment, 'x', at);
      assert.equal(worstCase(bands, deployment, { promptTokens: 0, maxCompletionTokens: 0, units }), nano);
    });
  }

  test('costs as much when a crash cuts the call, whose journal counts tokens alone', () => {
    const price = prices.of(aDeployment({ info: { ...perUnit, input_cost_per_token: 1e-6 } }), 'x', at);
    const kept = parsePrice(textFor(price, { images: 1, characters: 2 }));
    assert.equal(costOf(kept.bands, aUsage({ promptTokens: 5 })), 40_035_000n);
  });

  test('counts tokens of images and sound at their own prices, as the catalogue has them', () => {
    const deployment = aDeployment({ provider: 'openai', info: {} });
    const { bands } = prices.of(deployment, 'gpt-image-1', at);
    assert.equal(costOf(bands, aUsage({ promptTokens: 30, imageInputTokens: 20, completionTokens: 10 })), 650_000n);
    const hourly = prices.of(deployment, 'whisper-1', at);
    assert.equal(costOf(hourly.bands, aUsage({ units: { seconds: 60 } })), 6_000_000n);
  });

  test('has no price where the model is priced by something else', () => {
    const call = (callType: CallType, info: object) =>
      prices.forCall(aDeployment({ info: { ...info } }), 'x', { at, callType }).source;
    assert.equal(call('image_generation', { output_cost_per_image: 0.04 }), 'model_info');
    assert.equal(call('chat_completion', { output_cost_per_image: 0.04 }), 'unpriced');
    assert.equal(call('rerank', { input_cost_per_character: 1 }), 'unpriced');
    assert.equal(call('speech', { input_cost_per_token: 0 }), 'model_info');
  });
});

/** The same numbers at every run: xorshift. */
function randoms(): (below: number) => number {
  let state = 20_261_127;
  return (below) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % below;
  };
}

describe('the buckets of a usage', () => {
  const fields = {
    input_cost_per_token: 'promptTokens',
    cache_read_input_token_cost: 'cacheReadTokens',
    cache_creation_input_token_cost: 'cacheWriteTokens',
    cache_creation_input_token_cost_above_1hr: 'cacheWriteHourTokens',
    input_cost_per_audio_token: 'audioInputTokens',
    input_cost_per_image_token: 'imageInputTokens',
    output_cost_per_token: 'completionTokens',
    output_cost_per_reasoning_token: 'reasoningTokens',
    output_cost_per_audio_token: 'audioOutputTokens',
    output_cost_per_image_token: 'imageOutputTokens',
  } as const;
  const names = Object.keys(fields) as (keyof typeof fields)[];
  const one = Object.fromEntries(names.map((name) => [name, 1e-9]));

  test('are disjoint and add up to what the provider counted, whatever it says of them', () => {
    const random = randoms();
    for (let round = 0; round < 1_000; round++) {
      const usage = Object.fromEntries(Object.values(fields).map((name) => [name, random(10) === 0 ? -1 : random(60)]));
      const total = Math.max(0, usage['promptTokens'] ?? 0) + Math.max(0, usage['completionTokens'] ?? 0);
      assert.equal(cost(one, usage), BigInt(total), JSON.stringify(usage));
      // Each token is in one bucket: what raising the buckets one by one adds is every token once again.
      const added = names.reduce((sum, name) => sum + cost({ ...one, [name]: 2e-9 }, usage) - BigInt(total), 0n);
      assert.equal(added, BigInt(total), JSON.stringify(usage));
    }
  });
});

describe('the price of a batch', () => {
  const standard = { input_cost_per_token: 2e-6, output_cost_per_token: 4e-6 };
  const batchOf = (info: object) => prices.of(aDeployment({ info: { ...info } }), 'x', at).batch;
  const usage = aUsage({ promptTokens: 10, cacheReadTokens: 4, completionTokens: 5 });

  test('is its own where one is given, and no call can ask for it', () => {
    const info = { ...standard, input_cost_per_token_batches: 1e-6, output_cost_per_token_batches: 2e-6 };
    assert.equal(costOf(batchOf(info)!.bands, usage), 20_000n);
    assert.equal(prices.of(aDeployment({ info }), 'x', at).tiers, undefined);
    assert.equal(batchOf({ ...standard, input_cost_per_token_batches: 1e-6 }), undefined, 'half a price is none');
    assert.equal(batchOf(standard), undefined);
    const embedding = { input_cost_per_token: 2e-8, input_cost_per_token_batches: 1e-8 };
    assert.equal(costOf(batchOf(embedding)!.bands, aUsage({ promptTokens: 100 })), 1_000n);
  });
});
