import assert from 'node:assert/strict';
import { test } from 'node:test';
import { loadYaml, refusal } from '../config/support.ts';

test('a callback takes from the variables that LiteLLM reads what its entry does not say', () => {
  const { callbacks, secrets } = loadYaml(
    'litellm_settings: {success_callback: [langfuse, otel], failure_callback: [generic_api]}',
    {
      env: {
        LANGFUSE_PUBLIC_KEY: 'pk-lf-1',
        LANGFUSE_SECRET_KEY: 'sk-lf-a-canary',
        LANGFUSE_HOST: 'langfuse.example.com',
        OTEL_EXPORTER_OTLP_ENDPOINT: 'https://otel.example.com/base',
        OTEL_EXPORTER_OTLP_HEADERS: 'api-key=a-canary-of-otel,x-tenant=acme%20inc',
        GENERIC_LOGGER_ENDPOINT: 'https://hooks.example.com/calls',
      },
    },
  );
  assert.partialDeepStrictEqual(callbacks.callbacks, [
    {
      name: 'langfuse',
      onSuccess: true,
      onFailure: false,
      messageLogging: false,
      target: { kind: 'langfuse', host: 'https://langfuse.example.com/', publicKey: 'pk-lf-1' },
    },
    {
      name: 'otel',
      target: {
        kind: 'otel',
        url: 'https://otel.example.com/base/v1/traces',
        headers: { 'api-key': 'a-canary-of-otel', 'x-tenant': 'acme inc' },
      },
    },
    { name: 'generic_api', onSuccess: false, onFailure: true, target: { url: 'https://hooks.example.com/calls' } },
  ]);
  assert.ok(secrets.includes('sk-lf-a-canary') && secrets.includes('a-canary-of-otel'));
});

test('what is wrong with a callback is said with its line, and what it holds is not', () => {
  const wrong: readonly (readonly [yaml: string, says: RegExp])[] = [
    ['litellm_settings: {callbacks: [langfsue]}', /config.yaml:1:\d+: langfsue is no callback: langfuse, otel/],
    ['litellm_settings: {callbacks: [langfuse]}', /langfuse_public_key \(or LANGFUSE_PUBLIC_KEY\) is missing/],
    ['litellm_settings: {callbacks: [webhook]}', /endpoint \(or GENERIC_LOGGER_ENDPOINT\) is missing/],
    ['litellm_settings: {callbacks: [a]}\ncallback_settings: {a: {endpoint: "http://x"}}', /callback_type is missing/],
    [
      'litellm_settings: {callbacks: [webhook]}\ncallback_settings: {webhook: {endpoint: "http://canary:canary@x"}}',
      /endpoint must be a URL .* without a user in it/,
    ],
    [
      'litellm_settings: {callbacks: [webhook]}\ncallback_settings: {webhook: {endpoint: "http://x", headers: {host: canary}}}',
      /headers must be names and values/,
    ],
    ['litellm_settings: {callbacks: [jsonl]}\ncallback_settings: {jsonl: {pth: x}}', /pth/],
    ['gatewayctl: {callbacks: {queue_size: 0}}', /queue_size/],
  ];
  for (const [yaml, says] of wrong) {
    const { shown } = refusal(() => loadYaml(yaml));
    assert.match(shown, says);
    assert.ok(!shown.includes('canary'), shown);
  }
});

test('what LiteLLM has and gatewayctl does not serve, and what no list names, is warned of', () => {
  const { warnings, callbacks } = loadYaml(
    `litellm_settings: {callbacks: [datadog, custom_callbacks.handler]}\ncallback_settings: {otel: {endpoint: "http://x"}}`,
  );
  assert.deepEqual(callbacks.callbacks, []);
  assert.deepEqual(
    warnings.map(({ key }) => key),
    ['litellm_settings.callbacks', 'litellm_settings.callbacks', 'callback_settings.otel'],
  );
});
