import assert from 'node:assert/strict';
import { test } from 'node:test';
import { GatewayError } from '../../src/kernel/errors.ts';
import { loadYaml, refusal, withoutDirectory } from './support.ts';

const laughs = [
  'a: &a [x,x,x,x,x,x,x,x,x]',
  ...'bcdefghi'.split('').map((c, i) => `${c}: &${c} [${`*${'abcdefgh'[i]},`.repeat(9)}]`),
];
const bombs: readonly (readonly [string, string, RegExp])[] = [
  ['a billion laughs', laughs.join('\n'), /more than (100 aliases|10000 values)/],
  ['an alias of itself', 'a: &a [*a]', /nested more than 20 deep/],
  ['a megabyte of brackets', '['.repeat(1_000_000), /nested more than 20 deep/],
  ['a megabyte of dashes', '- '.repeat(500_000), /more than 10000 values/],
  ['dashes in dashes', '- '.repeat(30_000), /nested more than 20 deep/],
  ['21 mappings in each other', `${'{a: '.repeat(21)}1${'}'.repeat(21)}`, /nested more than 20 deep/],
  ['11,000 keys', Array.from({ length: 11_000 }, (_, index) => `k${index}: 1`).join('\n'), /more than 10000 values/],
  ['60,000 keys', Array.from({ length: 60_000 }, (_, index) => `k${index}: 1`).join('\n'), /more than 10000 values/],
  ['more than a megabyte', `# ${'x'.repeat(1024 * 1024)}`, /larger than 1 MiB/],
  ['a key twice', 'gatewayctl: {}\ngatewayctl: {}', /2:1: gatewayctl stands here twice/],
  ['__proto__', '__proto__: {port: 1}', /1:1: __proto__ cannot be a key/],
  ['constructor, deep inside', 'gatewayctl: {compat: {constructor: 1}}', /constructor cannot be a key/],
  ['a tag', 'gatewayctl: !!js/function "x"', /1:13: tags are not supported/],
  ['an unknown alias', 'gatewayctl: *x', /1:13: this alias has no anchor/],
  ['two documents', 'gatewayctl: {}\n---\ngatewayctl: {}', /the file must hold one document/],
  ['a mapping as a key', '? {a: 1}\n: 2', /a key must be a text/],
  ['a tab as indentation', 'gatewayctl:\n\tport: 1', /config.yaml:2:/],
];
for (const [name, yaml, expected] of bombs) {
  test(`a file with ${name} is refused in good time`, { timeout: 10_000 }, () => {
    assert.match(refusal(() => loadYaml(yaml)).shown, expected);
  });
}

test('an empty file is a configuration that says nothing', () => {
  assert.equal(loadYaml('').port, 4000);
  assert.equal(loadYaml('# nothing\nmodel_list:\ngatewayctl:\n').port, 4000);
});

const sample = `
environment_variables:
  SOME_TOKEN: canaryqqtokenqq
model_list:
  - model_name: gpt-4o
    litellm_params:
      model: openai/gpt-4o
      api_key: canaryqqproviderqq
      api_base: https://canaryqquserqq:canaryqqpassqq@host/v1
  - {model_name: b, litellm_params: {model: mock/x, api_key: "canaryqqflowqq", timeout: 5}}
general_settings:
  master_key: sk-canaryqqmasterqq
  database_url: postgres://user:canaryqqdbqq@host/db
  litellm_key_header_name: X-Key
gatewayctl:
  encryption_key: canaryqqencryptionqq
  compat: {model_access_status: 401}
`;

/** Random but the same in every run. */
function numbers(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

function mutate(text: string, below: (most: number) => number): string {
  const junk = [
    '"',
    "'",
    '[',
    '{',
    '}',
    ':',
    '\n',
    '- ',
    '&a ',
    '*a ',
    '!x ',
    '#',
    '\t',
    '|',
    '%',
    '\0',
    '9e999',
    '~',
    '<<: ',
    'é',
  ];
  let changed = text;
  for (let times = 1 + below(3); times > 0; times--) {
    const at = below(changed.length);
    const kind = below(3);
    if (kind === 0) changed = changed.slice(0, at) + changed.slice(at + 1 + below(8));
    else if (kind === 1) changed = changed.slice(0, at) + (junk[below(junk.length)] ?? '') + changed.slice(at);
    else changed = changed.slice(0, at) + changed.slice(at, at + 20) + changed.slice(at);
  }
  return changed;
}

test('400 mutilated files are read or refused with a GatewayError, and none gives a secret away', () => {
  const below = numbers(42);
  let refused = 0;
  for (let round = 0; round < 400; round++) {
    const yaml = mutate(sample, below);
    try {
      loadYaml(yaml);
    } catch (error) {
      assert.ok(error instanceof GatewayError, `${String(error)}\n${yaml}`);
      assert.equal(error.exit, 78);
      assert.doesNotMatch(withoutDirectory(`${error.message} ${error.hint}`), /qq/, yaml);
      refused++;
    }
  }
  assert.ok(refused > 200, `${refused} refused`);
});
