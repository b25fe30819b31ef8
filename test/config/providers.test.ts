import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { knownProviders } from '../../src/models/providers.ts';
import { loadYaml, refusal } from './support.ts';

const entry = (params: string) => `
model_list:
  - {model_name: a, litellm_params: {${params}}}
`;
const keys = Object.fromEntries(
  Object.values(knownProviders).flatMap(({ apiKey }) => apiKey.map((name) => [name, `key-in-${name.toLowerCase()}`])),
);
const deploymentOf = (params: string, env: Record<string, string> = keys) =>
  loadYaml(entry(params), { env }).deployments[0];

describe('a provider by its prefix', () => {
  for (const [name, { apiKey, ...known }] of Object.entries(knownProviders)) {
    const base = 'apiBase' in known ? known.apiBase : undefined;
    test(`${name} has ${base === undefined ? 'no address of its own' : 'its address, and its key from its variable'}`, () => {
      if (base === undefined) {
        const { shown } = refusal(() => loadYaml(entry(`model: ${name}/vendor/x`), { env: keys }));
        const missing = 'placedBy' in known ? known.placedBy : ['api_base'];
        for (const param of missing) assert.match(shown, new RegExp(`${param} is missing: .*deployment of ${name}`));
        return;
      }
      const found = deploymentOf(`model: ${name}/vendor/x`);
      assert.deepEqual(
        [found?.provider, found?.upstreamModel, found?.apiBase, found?.apiKey],
        [name, 'vendor/x', base, keys[apiKey[0] ?? '']],
      );
    });

    test(`${name}'s key is given to nobody else`, () => {
      const found = deploymentOf(`model: ${name}/x, api_base: "https://elsewhere.example/v1"`);
      assert.deepEqual([found?.apiBase, found?.apiKey], ['https://elsewhere.example/v1', undefined]);
    });
  }
});

test('azure has its resource and its key in variables, and a version that YAML reads as a date', () => {
  const env = { AZURE_API_BASE: 'https://ours.openai.azure.com/', AZURE_API_KEY: 'azure-key' };
  const found = deploymentOf('model: azure/gpt-4o-east, api_version: 2025-03-01', env);
  assert.deepEqual(
    [found?.provider, found?.upstreamModel, found?.apiBase, found?.apiKey, found?.params],
    ['azure', 'gpt-4o-east', 'https://ours.openai.azure.com', 'azure-key', { api_version: '2025-03-01' }],
  );
});

test('bedrock and vertex_ai have credentials of their own, which are kept from view, and a warning when there are none', () => {
  const { deployments, warnings } = loadYaml(
    `
model_list:
  - model_name: b
    litellm_params:
      model: bedrock/anthropic.claude-sonnet-4-5-20250929-v1:0
      aws_region_name: us-east-1
      aws_access_key_id: os.environ/MY_AWS_ID
      aws_secret_access_key: os.environ/MY_AWS_SECRET
  - model_name: v
    litellm_params: {model: vertex_ai/gemini-2.5-flash, vertex_project: acme, vertex_location: global}
`,
    { env: { MY_AWS_ID: 'AKIA1', MY_AWS_SECRET: 'the-secret', AWS_SECRET_ACCESS_KEY: 'of somebody else' } },
  );
  assert.deepEqual(
    deployments.map(({ params, secrets }) => [params, secrets]),
    [
      [{ aws_region_name: 'us-east-1' }, { aws_access_key_id: 'AKIA1', aws_secret_access_key: 'the-secret' }],
      [{ vertex_project: 'acme', vertex_location: 'global' }, undefined],
    ],
  );
  assert.deepEqual(
    warnings.map(({ key, message }) => `${key} ${message}`),
    ['litellm_params.api_key is missing, and so are vertex_credentials'],
  );
});
