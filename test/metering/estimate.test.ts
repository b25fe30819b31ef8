import assert from 'node:assert/strict';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { test } from 'node:test';
import { countCompletion, estimatePromptTokens, estimateTokens } from '../../src/metering/estimate.ts';

const texts: Record<string, string> = {
  English: 'The gateway reserves the worst case before the call and settles the real cost after it. '.repeat(10),
  Russian: 'Шлюз резервирует худший случай до вызова и списывает настоящую стоимость после него. '.repeat(10),
  Chinese: '网关在调用之前预留最坏情况的费用，调用之后结算真实费用。'.repeat(10),
  code: 'export const isAdmin = (actor: Actor): boolean => actor.type !== "key" || actor.role === "proxy_admin";\n'.repeat(
    10,
  ),
};

for (const [language, text] of Object.entries(texts)) {
  test(`an estimate of ${language} is not below the count and not above three times as much`, async () => {
    const counted = await countCompletion(text);
    assert.ok(
      estimateTokens(text) >= counted && estimateTokens(text) <= 3 * counted,
      `${estimateTokens(text)} for ${counted}`,
    );
  });
}

const estimate = (content: unknown) => {
  const body = { messages: [{ role: 'user', content }] };
  return estimatePromptTokens(body, JSON.stringify(body).length);
};

test('an image counts as an image, and a clip by its length, not as the text of its bytes', () => {
  const data = 'A'.repeat(1_000_000);
  assert.ok(estimate([{ type: 'image_url', image_url: { url: `data:image/png;base64,${data}` } }]) < 2_000);
  assert.ok(estimate([{ type: 'image', source: { type: 'base64', media_type: 'image/png', data } }]) < 2_000);
  assert.ok(estimate([{ type: 'image_url', image_url: { url: 'https://example.com/a.png' } }]) > 1_600);
  const screenshot = { type: 'image', source: { type: 'base64', media_type: 'image/png', data } };
  assert.ok(estimate([{ type: 'tool_result', tool_use_id: 'toolu_1', content: [screenshot] }]) < 2_000);
  const asked = {
    input: [{ role: 'user', content: [{ type: 'input_image', image_url: `data:image/png;base64,${data}` }] }],
  };
  assert.ok(estimatePromptTokens(asked, JSON.stringify(asked).length) < 2_000);
  const audio = estimate([{ type: 'input_audio', input_audio: { data, format: 'mp3' } }]);
  assert.ok(audio > 12_000 && audio < 14_000, String(audio));
});

test('a text that only looks like an attachment is a text', () => {
  const text = 'word '.repeat(10_000);
  for (const content of [
    `data:image/png;base64,${text}`,
    [{ type: 'text', text: `data:image/png;base64,${text}` }],
    [{ type: 'text', content: [{ type: 'image', source: { data: 'A'.repeat(50_000) } }] }],
    [{ type: 'text', image_url: { url: `data:image/png;base64,${'A'.repeat(50_000)}` } }],
    [{ type: 'image_url', image_url: { url: `data:image/png;base64,${text}` } }],
    [{ type: 'image_url', image_url: { url: `https://example.com/${'a'.repeat(50_000)}` } }],
    [{ type: 'image', source: { media_type: 'image/png', data: text } }],
    [{ type: 'input_audio', input_audio: { data: text } }],
  ]) {
    assert.ok(estimate(content) > 16_000, JSON.stringify(content).slice(0, 60));
  }
});

for (const [what, text] of [
  ['50,000 letters', 'a'.repeat(50_000)],
  ['25,000 Chinese letters', '好'.repeat(25_000)],
  ['50,000 blanks', ' '.repeat(50_000)],
  ['50,000 signs', '!'.repeat(50_000)],
  ['words just short enough to be counted', `${'好'.repeat(24)} `.repeat(1_000)],
  ['signs and marks in turn', '!\u0301'.repeat(25_000)],
] as const) {
  test(`${what} without a break are no burden on the event loop`, async () => {
    await countCompletion('The vocabulary is loaded.');
    const delay = monitorEventLoopDelay({ resolution: 1 });
    delay.enable();
    const tokens = await countCompletion(text);
    await new Promise((resolve) => setImmediate(resolve));
    delay.disable();
    assert.ok(tokens > 0 && tokens <= Buffer.byteLength(text), String(tokens));
    assert.ok(delay.max < 200e6, `${delay.max / 1e6} ms`);
  });
}

test('a completion may hold the names of special tokens', async () => {
  assert.ok((await countCompletion('The end: <|endoftext|>')) > 3);
});

test('a long completion is counted in proportion', async () => {
  const counted = await countCompletion('one two three four five '.repeat(50_000));
  assert.ok(Math.abs(counted - 250_000) < 10_000, String(counted));
});
