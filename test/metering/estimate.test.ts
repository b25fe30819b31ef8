import assert from 'node:assert/strict';
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

test('an image counts as an image, and not as the text of its bytes', () => {
  const url = `data:image/png;base64,${'A'.repeat(1_000_000)}`;
  const anthropic = { type: 'image', source: { type: 'base64', media_type: 'image/png', data: 'A'.repeat(1_000_000) } };
  assert.ok(estimatePromptTokens([{ role: 'user', content: [{ type: 'image_url', image_url: { url } }] }]) < 2_000);
  assert.ok(estimatePromptTokens([{ role: 'user', content: [anthropic] }]) < 2_000);
});

test('a request nested without end is estimated all the same', () => {
  let nested: unknown = 'x';
  for (let depth = 0; depth < 100_000; depth++) nested = [nested];
  assert.ok(estimatePromptTokens(nested) > 0);
});

test('a completion may hold the names of special tokens', async () => {
  assert.ok((await countCompletion('The end: <|endoftext|>')) > 3);
});

test('a long completion is counted in proportion', async () => {
  const counted = await countCompletion('one two three four five '.repeat(50_000));
  assert.ok(Math.abs(counted - 250_000) < 10_000, String(counted));
});
