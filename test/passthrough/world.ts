import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Gateway, startGateway, until } from '../support/gateway.ts';
import { PretendUpstream } from './upstream.ts';

/** What the operator's credentials look like, so that a test can look for them. */
export const secretOf = (name: string): string => `operators-${name}-secret-0123456789`;

const variables: Readonly<Record<string, readonly [base: string, key: string]>> = {
  openai: ['OPENAI_API_BASE', 'OPENAI_API_KEY'],
  anthropic: ['ANTHROPIC_API_BASE', 'ANTHROPIC_API_KEY'],
  azure: ['AZURE_API_BASE', 'AZURE_API_KEY'],
  gemini: ['GEMINI_API_BASE', 'GEMINI_API_KEY'],
  cohere: ['COHERE_API_BASE', 'COHERE_API_KEY'],
  mistral: ['MISTRAL_API_BASE', 'MISTRAL_API_KEY'],
  vllm: ['HOSTED_VLLM_API_BASE', 'HOSTED_VLLM_API_KEY'],
  assemblyai: ['ASSEMBLYAI_API_BASE', 'ASSEMBLYAI_API_KEY'],
  groq: ['GROQ_API_BASE', 'GROQ_API_KEY'],
  together: ['TOGETHERAI_API_BASE', 'TOGETHERAI_API_KEY'],
  bedrock: ['AWS_BEDROCK_RUNTIME_ENDPOINT', 'AWS_SECRET_ACCESS_KEY'],
  langfuse: ['LANGFUSE_HOST', 'LANGFUSE_SECRET_KEY'],
  vertex_ai: ['VERTEXAI_API_BASE', ''],
};

const { privateKey, publicKey } = generateKeyPairSync('rsa', {
  modulusLength: 2048,
  publicKeyEncoding: { type: 'spki', format: 'pem' },
  privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
});
export const accountsPublicKey = publicKey;

export interface SpendRow {
  readonly [column: string]: unknown;
  readonly spend: string;
  readonly prompt_tokens: string;
  readonly completion_tokens: string;
}

export type World = Awaited<ReturnType<typeof openWorld>>;

/** A gateway whose providers are all one pretend upstream, below `/<provider>-base`. */
export async function openWorld({
  without = [],
  ...more
}: {
  args?: readonly string[];
  env?: Record<string, string>;
  /** Providers without a key. */ without?: string[];
} = {}) {
  await using opened = new AsyncDisposableStack();
  const upstream = opened.use(await new PretendUpstream().listen());
  const directory = await mkdtemp(join(tmpdir(), 'gatewayctl-'));
  opened.defer(() => rm(directory, { recursive: true, force: true }));
  const account = join(directory, 'account.json');
  await writeFile(
    account,
    JSON.stringify({
      type: 'service_account',
      client_email: 'gateway@example.iam.gserviceaccount.com',
      private_key_id: 'k1',
      private_key: privateKey,
      token_uri: `${upstream.url}/token`,
    }),
  );
  const env: Record<string, string> = {
    AWS_ACCESS_KEY_ID: 'AKIDEXAMPLE',
    AWS_REGION_NAME: 'us-east-1',
    LANGFUSE_PUBLIC_KEY: 'pk-lf-operator',
    VERTEXAI_PROJECT: 'acme',
    VERTEXAI_LOCATION: 'us-central1',
    GOOGLE_APPLICATION_CREDENTIALS: account,
    ...more.env,
  };
  for (const [name, [base, key]] of Object.entries(variables)) {
    env[base] = `${upstream.url}/${name}-base`;
    if (key !== '' && !without.includes(name)) env[key] = secretOf(name);
  }
  const gateway: Gateway = opened.use(await startGateway({ ...more, env }));
  const kept = opened.move();
  return {
    upstream,
    gateway,
    async aKey(...flags: string[]): Promise<string> {
      const { out, err, exit } = await gateway.gatewayctl(['key', 'generate', ...flags, '-o', 'json']);
      assert.equal(exit, 0, err);
      return (JSON.parse(out) as { key: string }).key;
    },
    /** The row of a call, once it is in the database. */
    async rowOf({ headers }: { readonly headers: Headers }): Promise<SpendRow> {
      const id = headers.get('x-litellm-call-id');
      let row: SpendRow | undefined;
      await until(async () => {
        const { rows } = await gateway.pool.query<SpendRow>(
          'select * from gatewayctl.spend_logs where request_id = $1',
          [id],
        );
        assert.ok(rows.length <= 1, 'it is booked once');
        return (row = rows[0]) !== undefined;
      });
      assert.ok(row);
      return row;
    },
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}
