import assert from 'node:assert/strict';
import { test } from 'node:test';
import { builtinMock } from '../../src/config/litellm.ts';
import { load, loadYaml, refusal, TemporaryDirectory } from './support.ts';

const env = { OPENAI_API_KEY: 'sk-openai-canary', VLLM_KEY: 'vllm-key-value' };

test('a model_list of LiteLLM becomes deployments', () => {
  const { deployments, warnings, secrets } = loadYaml(
    `
model_list:
  - model_name: gpt-4o
    litellm_params: {model: openai/gpt-4o, api_key: os.environ/OPENAI_API_KEY, timeout: 30}
    model_info: {id: first, mode: chat, max_tokens: 128000}
  - model_name: local
    litellm_params:
      model: openai/meta-llama/Llama-3
      api_base: http://10.0.0.1:8000/v1/
      api_key: os.environ/VLLM_KEY
      input_cost_per_token: 1e-7
  - {model_name: plain, litellm_params: {model: gpt-4o-mini}}
  - {model_name: "openai/*", litellm_params: {model: "openai/*"}}
  - {model_name: fake, litellm_params: {model: mock/echo, mock_response: hello}}
`,
    { env },
  );
  assert.deepEqual(deployments[0], {
    id: 'first',
    name: 'gpt-4o',
    provider: 'openai',
    upstreamModel: 'gpt-4o',
    apiBase: 'https://api.openai.com/v1',
    apiKey: 'sk-openai-canary',
    source: 'config',
    info: { id: 'first', mode: 'chat', max_tokens: 128000 },
    params: { timeout: 30 },
  });
  const shown = deployments.map(({ name, provider, upstreamModel, apiBase, apiKey }) =>
    [name, provider, upstreamModel, apiBase, apiKey].join(' '),
  );
  assert.deepEqual(shown.slice(1), [
    'local openai meta-llama/Llama-3 http://10.0.0.1:8000/v1 vllm-key-value',
    'plain openai gpt-4o-mini https://api.openai.com/v1 sk-openai-canary',
    'openai/* openai * https://api.openai.com/v1 sk-openai-canary',
    'fake mock echo  ',
  ]);
  assert.equal(deployments[1]?.info['input_cost_per_token'], 1e-7);
  assert.deepEqual(deployments[4]?.params, { mock_response: 'hello' });
  assert.deepEqual(warnings, []);
  assert.deepEqual([...new Set(secrets)].toSorted(), ['sk-openai-canary', 'vllm-key-value']);
});

const twoCopies = (key: string) => `
model_list:
  - {model_name: a, litellm_params: {model: openai/x, api_base: "http://h/v1", api_key: ${key}}}
  - {model_name: a, litellm_params: {model: openai/x, api_base: "http://h/v1", api_key: other}}
`;

const ids = (key: string) => loadYaml(twoCopies(key)).deployments.map(({ id }) => id);

test('the id of a deployment is stable, does not follow its key, and is another one for a copy', () => {
  assert.deepEqual(ids('one'), ids('two'));
  assert.match(ids('one')[0] ?? '', /^[0-9a-f]{64}$/);
  assert.notEqual(ids('one')[0], ids('one')[1]);
});

const model = (params: string) => `model_list:\n  - model_name: a\n    litellm_params: {${params}}\n`;
const wrong: readonly (readonly [string, string, RegExp])[] = [
  ['another provider', model('model: watsonx/granite-3'), /3:29: provider watsonx is not served yet \(an OpenAI-comp/],
  ['a misspelt provider', model('model: opnai/x'), /provider opnai is not served yet \(did you mean openai\?\)/],
  ['a provider without a model', model('model: openai/'), /3:29: the model has no name/],
  ['no model', model('api_key: x'), /3:21: model is missing/],
  ['no name', 'model_list: [{litellm_params: {model: x}}]', /1:14: model_name is missing/],
  ['an unknown parameter', model('model: x, api_keyy: y'), /3:32: unknown key "api_keyy" \(did you mean api_key\?\)/],
  ['a missing variable', model('model: x, api_key: os.environ/NOPE'), /3:41: environment variable NOPE is not set/],
  [
    'a reference to more than a variable',
    model('model: x, api_key: os.environ/../etc/passwd'),
    /must be followed by the name/,
  ],
  ['a reference into the prototype', model('model: x, api_key: os.environ/toString'), /variable toString is not set/],
  ['a base that is no URL', model('model: x, api_base: "file:///etc/passwd"'), /api_base must be an http/],
  [
    'a base where clouds have credentials',
    model('model: x, api_base: "http://[::ffff:169.254.169.254]/v1", allow_private_network: true'),
    /3:42: api_base is an address that is never called/,
  ],
  [
    'a network that is allowed by a text',
    model('model: x, allow_private_network: "yes please"'),
    /3:55: allow_private_network must be true or false/,
  ],
  ['a price that is none', model('model: x, input_cost_per_token: free'), /input_cost_per_token must be a number/],
  ['a negative price', model('model: x, input_cost_per_token: -1'), /input_cost_per_token must be a number/],
  [
    'a twice used id',
    `model_list:${'\n  - {model_name: a, litellm_params: {model: x}, model_info: {id: i}}'.repeat(2)}`,
    /another model has this id/,
  ],
  ['a list that is none', 'model_list: 3', /1:13: model_list must be a list/],
  ['an entry that is none', 'model_list: [3]', /1:14: an entry of model_list must be a mapping/],
  [
    'an unknown section',
    'genral_settings: {}',
    /1:1: unknown key "genral_settings" \(did you mean general_settings\?\)/,
  ],
  [
    'an unknown setting',
    'general_settings: {databse_url: x}',
    /unknown key "databse_url" \(did you mean database_url\?\)/,
  ],
  [
    'an unknown setting of ours',
    'gatewayctl: {compat: {model_acces_status: 401}}',
    /did you mean model_access_status\?/,
  ],
  ['a setting that is a list', 'gatewayctl: {port: [1]}', /gatewayctl.port must be a single value/],
  [
    'a list of nothing',
    'general_settings: {allowed_ips: []}',
    /allowed_ips must be one value or a list of at least one/,
  ],
  [
    'a strategy nobody has',
    'router_settings: {routing_strategy: fastest}',
    /must be one of simple-shuffle, least-busy/,
  ],
  ['too many retries', 'litellm_settings: {num_retries: 11}', /must be a whole number from 0 to 10/],
  [
    'fallbacks that are no list',
    'router_settings: {fallbacks: {a: [b]}}',
    /must be a list such as \[\{model: \[other\]\}\]/,
  ],
  ['a fallback that is no name', 'litellm_settings: {context_window_fallbacks: [{a: [1]}]}', /must be a name/],
  ['default fallbacks that are one name', 'litellm_settings: {default_fallbacks: b}', /must be a list of names/],
  ['an alias of nothing', 'router_settings: {model_group_alias: {a: {hidden: true}}}', /must be the name of a model/],
  [
    'a policy nobody has',
    'router_settings: {retry_policy: {RateLimitRetries: 1}}',
    /did you mean RateLimitErrorRetries\?/,
  ],
  ['a weight that is none', model('model: mock/x, weight: heavy'), /weight must be a number, and not negative/],
  ['tags that are no list', model('model: mock/x, tags: a'), /tags must be a list of names/],
  ['a file that is a list', '- 1', /the file must hold a mapping/],
];
for (const [name, yaml, expected] of wrong) {
  test(`${name} is refused with its place`, () => {
    const { shown, exit } = refusal(() => loadYaml(yaml, { env: { OPENAI_API_KEY: 'x' } }));
    assert.match(shown, expected);
    assert.match(shown, /^(The configuration has .*\n)?config\.yaml:\d+:\d+: /);
    assert.equal(exit, 78);
  });
}

test('what LiteLLM has and we do not serve is warned of, by key and line, and what would protect says so', () => {
  const { warnings } = loadYaml(
    `
router_settings:
  cache_responses: true
  max_retries: null
general_settings:
  public_routes: ["/spend"]
guardrails: []
environment_variables:
  LANGSMITH_SECRET_KEY: x
model_list:
  - model_name: a
    litellm_params: {model: x, itpm: 5, aws_role_name: eu}
    model_info: {access_windows: [g]}
`,
  );
  const shown = warnings.map(
    ({ where, key, message }) => `${where.replace(/^.*\/config\.yaml/, '')} ${key} ${message}`,
  );
  assert.deepEqual(shown, [
    ':3:3 router_settings.cache_responses is LiteLLM’s; gatewayctl does not serve it, and it has no effect',
    ':6:3 general_settings.public_routes restricts something in LiteLLM; gatewayctl does not serve it, and it restricts nothing here',
    ':7:1 guardrails restricts something in LiteLLM; gatewayctl does not serve it, and it restricts nothing here',
    ':12:32 litellm_params.itpm is LiteLLM’s; gatewayctl does not serve it, and it has no effect',
    ':12:41 litellm_params.aws_role_name is LiteLLM’s; gatewayctl does not serve it, and it has no effect',
    ':13:18 model_info.access_windows restricts something in LiteLLM; gatewayctl does not serve it, and it restricts nothing here',
    ':12:21 litellm_params.api_key is missing, and OPENAI_API_KEY is not set',
    ':9:25 environment_variables.LANGSMITH_SECRET_KEY is used by no os.environ/ reference in this file',
  ]);
});

test('a fallback or an alias that leads to no model of the file is warned of', () => {
  const { warnings } = loadYaml(`
model_list:
  - {model_name: a, litellm_params: {model: mock/a}, model_info: {id: the-id}}
  - {model_name: mock/*, litellm_params: {model: mock/*}}
router_settings:
  fallbacks: [{a: [mock/x, the-id, short, b]}]
  model_group_alias: {short: a, long: c}
`);
  assert.deepEqual(
    warnings.map(({ where, key, message }) => `${where.replace(/^.*\/config\.yaml/, '')} ${key} ${message}`),
    [
      ':6:14 router_settings.fallbacks leads to "b", which is not in model_list: the database must have it',
      ':7:22 router_settings.model_group_alias leads to "c", which is not in model_list: the database must have it',
    ],
  );
});

test('OPENAI_API_KEY goes to nobody but OpenAI', () => {
  const { deployments } = loadYaml(model('model: openai/x, api_base: "http://elsewhere/v1"'), { env });
  assert.equal(deployments[0]?.apiKey, undefined);
});

test('ANTHROPIC_API_KEY goes to nobody but Anthropic', () => {
  const both = { ...env, ANTHROPIC_API_KEY: 'sk-ant-canary' };
  const keyOf = (params: string) => loadYaml(model(params), { env: both }).deployments[0]?.apiKey;
  assert.equal(keyOf('model: anthropic/claude'), 'sk-ant-canary');
  assert.equal(keyOf('model: anthropic/claude, api_base: "http://elsewhere"'), undefined);
  assert.equal(keyOf('model: openai/x'), 'sk-openai-canary');
});

test('environment_variables serve references, and the real environment wins over them', () => {
  const yaml = `environment_variables: {K: own-value-of-k}\n${model('model: mock/x, api_key: os.environ/K')}`;
  assert.equal(loadYaml(yaml).deployments[0]?.apiKey, 'own-value-of-k');
  assert.equal(loadYaml(yaml, { env: { K: 'real' } }).deployments[0]?.apiKey, 'real');
});

test('included files are read from beside the file, and nothing is set twice', () => {
  using directory = new TemporaryDirectory();
  directory.write('models.yaml', model('model: mock/x'));
  directory.write('more.yaml', 'gatewayctl: {port: 2}');
  const file = directory.write('config.yaml', 'include: [models.yaml]\ngatewayctl: {port: 1}\n');
  const settings = load({ file });
  assert.equal(settings.deployments.length, 1);
  assert.equal(settings.port, 1);

  directory.write('config.yaml', 'include: [models.yaml, more.yaml]\ngatewayctl: {port: 1}\n');
  assert.match(
    refusal(() => load({ file })).shown,
    /config.yaml:2:14: gatewayctl.port is already set at more.yaml:1:14/,
  );
  directory.write('config.yaml', 'include: [config.yaml]\n');
  assert.match(refusal(() => load({ file })).shown, /more than 20 files are included/);
  directory.write('config.yaml', 'include: [gone.yaml]\n');
  assert.match(refusal(() => load({ file })).shown, /^gone.yaml: there is no such file$/);
});

test('anchors and merge keys work as they do in LiteLLM', () => {
  const { deployments } = loadYaml(`
model_list:
  - {model_name: a, litellm_params: &base {model: mock/x, mock_response: one, timeout: 5}}
  - {model_name: b, litellm_params: {<<: *base, mock_response: two}}
`);
  assert.deepEqual(deployments[1]?.params, { mock_response: 'two', timeout: 5 });
  assert.equal(deployments[1]?.upstreamModel, 'x');
});

test('the built-in mock has prices, so that the first call shows a cost', () => {
  const { name, provider, source, info } = builtinMock();
  assert.deepEqual([name, provider, source], ['mock-gpt', 'mock', 'builtin']);
  assert.deepEqual([info['input_cost_per_token'], info['output_cost_per_token']], [1.5e-7, 6e-7]);
});
