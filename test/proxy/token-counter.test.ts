import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { countCompletion } from '../../src/metering/estimate.ts';
import { Gateway } from './gateway.ts';

const path = '/utils/token_counter';
const counter = { promptTokens: () => 0, completionTokens: countCompletion };

describe('tokens are counted without a call', () => {
  const counted: [title: string, body: object, tokens: number][] = [
    ['of a text', { prompt: 'Good day to you' }, 4],
    ['of several', { prompt: ['Good day', 'to you'] }, 4],
    ['of messages, with what is around them', { messages: [{ role: 'user', content: 'Good day' }] }, 9],
    [
      'of their parts that are text',
      { messages: [{ role: 'user', content: [{ type: 'text', text: 'Good day' }] }] },
      9,
    ],
    ['of nothing', { prompt: '' }, 0],
  ];
  for (const [title, body, tokens] of counted) {
    test(title, async () => {
      await using gateway = await Gateway.start({ counter });
      const { status, json } = await gateway.send({ model: 'gpt-4o', ...body }, { path });
      assert.equal(status, 200, JSON.stringify(json));
      assert.deepEqual(json, {
        total_tokens: tokens,
        request_model: 'gpt-4o',
        model_used: 'gpt-4o-2024-08-06',
        tokenizer_type: 'openai_tokenizer',
      });
      assert.equal(gateway.bookings.length, 0);
    });
  }

  test('and whoever may not call a model does not learn its name upstream', async () => {
    await using gateway = await Gateway.start({ counter, allows: () => false });
    const { json } = await gateway.send({ model: 'gpt-4o', prompt: 'Hi' }, { path });
    assert.equal(json['model_used'], 'gpt-4o');
  });

  test('and what is neither a text nor messages is refused', async () => {
    await using gateway = await Gateway.start({ counter });
    for (const body of [{}, { prompt: 'x', messages: [] }, { prompt: 3 }, { messages: 'x' }, { contents: [] }]) {
      const { status } = await gateway.send({ model: 'gpt-4o', ...body }, { path });
      assert.equal(status, 400, JSON.stringify(body));
    }
  });
});
