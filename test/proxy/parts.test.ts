import assert from 'node:assert/strict';
import { test } from 'node:test';
import { surveyJson } from '../../src/kernel/json-survey.ts';
import { spliceJson } from '../../src/proxy/json-splice.ts';
import { createRequestId } from '../../src/proxy/request-id.ts';
import { DeploymentTable, targetOf } from '../../src/proxy/routing.ts';
import { chatEvents } from '../../src/proxy/events/chat-events.ts';
import { SseScanner } from '../../src/proxy/sse.ts';
import { aDeployment } from './gateway.ts';
import { aStream, someUsage } from './upstream.ts';

function scan(chunks: readonly (string | Buffer)[], options: { hidesUsage?: boolean } = {}) {
  const scanner = new SseScanner({ dialect: chatEvents, hidesUsage: true, maxEvent: 10_000, ...options });
  const passed: string[] = [];
  for (const chunk of chunks) {
    const events = scanner.push(Buffer.from(chunk as string));
    if (events) passed.push(events.toString());
  }
  const rest = scanner.end();
  if (rest) passed.push(rest.toString());
  return { scanner, passed, text: passed.join('') };
}

const stream = aStream('Grüße, 🎈 "usage": {} [DONE]').join('');
const expected = aStream('Grüße, 🎈 "usage": {} [DONE]')
  .filter((event) => !event.includes('"choices":[]'))
  .slice(0, -1)
  .join('');

for (const [name, lineEnd] of [
  ['LF', '\n'],
  ['CRLF', '\r\n'],
  ['CR', '\r'],
] as const) {
  test(`a stream with ${name} is understood wherever it is split`, () => {
    const bytes = Buffer.from(stream.replaceAll('\n', lineEnd));
    for (let at = 0; at <= bytes.length; at++) {
      const { scanner, text } = scan([bytes.subarray(0, at), bytes.subarray(at)]);
      assert.equal(text, expected.replaceAll('\n', lineEnd), `split at ${at}`);
      assert.deepEqual([scanner.done, scanner.finished, scanner.usage], [true, true, someUsage], `split at ${at}`);
    }
    for (const size of [1, 2, 3, 5, 7, 64]) {
      const pieces = Array.from({ length: Math.ceil(bytes.length / size) }, (_, index) =>
        bytes.subarray(index * size, (index + 1) * size),
      );
      const { scanner, text } = scan(pieces);
      assert.equal(text, expected.replaceAll('\n', lineEnd), `in pieces of ${size}`);
      assert.equal(scanner.done, true);
    }
  });
}

test('the usage chunk stays for whoever asked for it, and usage beside choices always does', () => {
  assert.equal(
    scan([stream], { hidesUsage: false }).text,
    aStream('Grüße, 🎈 "usage": {} [DONE]').slice(0, -1).join(''),
  );
  const both = 'data: {"choices":[{"finish_reason":"stop"}],"usage":{"prompt_tokens":1}}\n\n';
  const { text, scanner } = scan([both]);
  assert.equal(text, both);
  assert.deepEqual(scanner.usage, { prompt_tokens: 1 });
  assert.equal(scanner.finished, true);
});

test('comments, a byte order mark, other fields and data over several lines are no obstacle', () => {
  assert.equal(scan(['\ufeffdata: [DONE]\n\n']).scanner.done, true);
  assert.equal(scan([': hello\n\n', 'event: x\nid: 1\ndata:[DONE]\n\n']).scanner.done, true);
  const lines = 'data: {"choices":[],\ndata: "usage":{"prompt_tokens":2}}\n\n';
  assert.deepEqual(scan([lines]).scanner.usage, { prompt_tokens: 2 });
  assert.equal(scan([lines]).text, '');
  assert.equal(scan([': hello\n\n']).text, ': hello\n\n');
});

test('an end without a blank line is an end, and half of an event is nothing', () => {
  assert.equal(scan(['data: {"a":1}\n\ndata: [DONE]']).scanner.done, true);
  assert.equal(scan(['data: {"a":1}\n\ndata: [DONE]\n']).scanner.done, true);
  assert.equal(scan(['data: {"a":1}\n']).text, 'data: {"a":1}\n\n');
  assert.equal(scan(['data: {"a":1}\n\ndata: {"a":']).text, 'data: {"a":1}\n\n');
});

test('what was delivered is known when somebody asks', () => {
  const { scanner } = scan([stream]);
  assert.equal(scanner.delivered.text, 'Grüße, 🎈 "usage": {} [DONE]');
  assert.ok(scanner.delivered.tokens >= 5);
  const long = scan([aStream('word '.repeat(2_000)).join('')], {});
  assert.equal(long.scanner.delivered.text, 'word '.repeat(2_000).trimEnd());
});

test('an event that has no end is refused once it is too large', () => {
  assert.throws(() => scan(Array.from({ length: 200 }, () => 'x'.repeat(100))), { type: 'upstream_invalid_response' });
});

function put(json: string, members: [string, string][]): string {
  const bytes = Buffer.from(json);
  return spliceJson(bytes, surveyJson(bytes, new Set(members.map(([name]) => name))), members).toString();
}

test('a value is cut out of JSON wherever it stands, and nothing else changes', () => {
  assert.equal(put('{"model":"a"}', [['model', '"b"']]), '{"model":"b"}');
  assert.equal(put(' {"x":{"model":1},"model": null }', [['model', '"b"']]), ' {"x":{"model":1},"model":"b"}');
  assert.equal(
    put('{"x":[1,{"y":"}]\\"\\\\"}],"model":{"a":[2]},"z":1}', [['model', '0']]),
    '{"x":[1,{"y":"}]\\"\\\\"}],"model":0,"z":1}',
  );
  assert.equal(put('{}', [['model', '1']]), '{"model":1}');
  assert.equal(
    put('{"a":1,"b":2,"c":3}', [
      ['c', '9'],
      ['a', '7'],
      ['d', '8'],
    ]),
    '{"d":8,"a":7,"b":2,"c":9}',
  );
  const long = '\\"x\\\\'.repeat(100);
  assert.equal(put(`{"t":"${long}","model":"a"}`, [['model', '2']]), `{"t":"${long}","model":2}`);
});

test('a survey of broken JSON ends', () => {
  for (const json of ['', '"', '{"', '{"a', '{"a":', '{"a":"\\', '}}}]', '[[[', ',,,', ':::']) {
    assert.ok(surveyJson(Buffer.from(json), new Set(['a'])).depth >= 0, json);
  }
});

test('an exact name wins over a pattern, a longer pattern over a shorter one', () => {
  const table = new DeploymentTable([
    aDeployment({ id: 'any', name: '*', upstreamModel: '*' }),
    aDeployment({ id: 'openai', name: 'openai/*', upstreamModel: '*' }),
    aDeployment({ id: 'mini', name: 'openai/*-mini', upstreamModel: 'small-*' }),
    aDeployment({ id: 'exact', name: 'openai/gpt-4o', upstreamModel: 'gpt-4o-2024' }),
  ]);
  const found = (model: string) => {
    const target = table.find(model);
    return target && [target.deployment.id, target.upstreamModel];
  };
  assert.deepEqual(found('openai/gpt-4o'), ['exact', 'gpt-4o-2024']);
  assert.deepEqual(found('openai/gpt-4o-mini'), ['mini', 'small-gpt-4o']);
  assert.deepEqual(found('openai/o3'), ['openai', 'o3']);
  assert.deepEqual(found('o3$&'), ['any', 'o3$&']);
  table.replace([aDeployment({ name: 'a' })]);
  assert.equal(found('openai/o3'), undefined);
});

test('what a deployment has left at its upstream is looked for there, and by another model at the same account', () => {
  const account = { apiBase: 'http://one', apiKey: 'a' };
  const table = new DeploymentTable([
    aDeployment({ id: 'maker', name: 'old', ...account }),
    aDeployment({ id: 'same', name: 'new-*', upstreamModel: '*', ...account }),
    aDeployment({ id: 'other', name: 'new-*', upstreamModel: '*', ...account, apiKey: 'b' }),
  ]);
  const found = (keeper: string, model: string, isExact: boolean) => {
    const routed = table.keepers(keeper, model, { teamId: null, isExact });
    return routed?.group.deployments.map((each) => [each.id, targetOf(routed, each).upstreamModel]);
  };
  assert.deepEqual(found('maker', 'new-x', false), [['same', 'x']]);
  assert.deepEqual(found('maker', 'old', false), [['maker', 'gpt-4o-2024-08-06']]);
  assert.deepEqual(found('maker', 'gone', true), [['maker', 'gpt-4o-2024-08-06']]);
  assert.equal(found('maker', 'gone', false), undefined);
  assert.equal(found('nobody', 'old', true), undefined);
});

test('the id of a deployment stands for it alone, and for nobody of another team', () => {
  const table = new DeploymentTable([
    aDeployment({ id: 'one', name: 'a' }),
    aDeployment({ id: 'two', name: 'a' }),
    aDeployment({ id: 'own', name: 'b', info: { team_id: 't' } }),
    aDeployment({ id: 'any', name: 'openai/*', upstreamModel: '*' }),
  ]);
  const found = (model: string, team: string | null = null) => {
    const routed = table.resolve(model, team);
    return routed && [routed.name, ...routed.group.deployments.map(({ id }) => id)];
  };
  assert.deepEqual(
    [found('two'), found('a')],
    [
      ['a', 'two'],
      ['a', 'one', 'two'],
    ],
  );
  assert.deepEqual([found('own'), found('own', 'u'), found('own', 't')], [undefined, undefined, ['b', 'own']]);
  assert.equal(found('any'), undefined);
  assert.ok(table.scopeOf('two', null).groups.has('a'), 'whoever may call the name may call it by its id');
});

test('request ids are distinct and grow with time', () => {
  const ids = Array.from({ length: 5_000 }, createRequestId);
  assert.equal(new Set(ids).size, ids.length);
  assert.ok(ids.every((id) => /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/.test(id)));
  const times = ids.map((id) => id.slice(0, 13));
  assert.deepEqual(times, times.toSorted());
});
