import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { type Answer, aStateDir, type Gateway, startGateway, until } from '../support/gateway.ts';
import { Receiver, spansOf } from './receiver.ts';

const signingSecret = 'whsec-0123456789abcdef';
const canary = 'a-canary-in-a-prompt';
const credential = 'sk-proj-abcdefghijklmnopqrstuvwx';

const configFor = (url: string, directory: string): string => `
model_list:
  - {model_name: fails, litellm_params: {model: mock/fails, mock_error_status: 500}, model_info: {id: failing}}
  - {model_name: priced, litellm_params: {model: mock/priced, mock_response: 'A mock answer'}, model_info: {id: priced-1, input_cost_per_token: 0.001, output_cost_per_token: 0.002}}
litellm_settings:
  callbacks: [langfuse, otel, signed, lines, prometheus]
  success_callback: [successes]
  failure_callback: [failures]
callback_settings:
  langfuse: {langfuse_public_key: pk-lf-1, langfuse_secret_key: os.environ/THE_SECRET, langfuse_host: "${url}"}
  otel: {endpoint: "${url}/otlp", headers: "x-tenant=acme", service_name: gateway-test}
  signed: {callback_type: generic_api, endpoint: "${url}/signed", signing_secret: ${signingSecret}, message_logging: true}
  successes: {callback_type: webhook, endpoint: "${url}/successes"}
  failures: {callback_type: webhook, endpoint: "${url}/failures"}
  lines: {callback_type: jsonl, path: calls.jsonl}
gatewayctl:
  log_bodies: true
  body_log_limit: 2KiB
  callbacks: {flush_interval: 0s, private_network: true, dead_letter_file: "${directory}/dead.jsonl"}
`;

describe('callbacks', () => {
  let receiver: Receiver;
  let gateway: Gateway;
  let directory: string;
  let key: string;
  before(async () => {
    receiver = await new Receiver().listen();
    directory = await aStateDir();
    const path = join(directory, 'config.yaml');
    await writeFile(path, configFor(receiver.url, directory));
    const env = { THE_SECRET: 'sk-lf-a-secret-of-langfuse', GATEWAYCTL_NUM_RETRIES: '0' };
    gateway = await startGateway({ args: ['--config', path], env });
    key = await aKey({ key_alias: 'ci', user_id: 'anna' });
  });
  after(async () => {
    await gateway[Symbol.asyncDispose]();
    await receiver[Symbol.asyncDispose]();
    await rm(directory, { recursive: true, force: true });
  });

  const aKey = async (given: object = {}): Promise<string> =>
    (await gateway.request('POST', '/key/generate', { body: given })).body.key as string;
  const idOf = ({ headers }: Pick<Answer, 'headers'>): string => headers.get('x-litellm-call-id') ?? '';
  const chat = (model: string, more: object = {}, headers: Record<string, string> = {}) =>
    gateway.request('POST', '/v1/chat/completions', {
      key,
      headers,
      body: { model, messages: [{ role: 'user', content: `${canary} ${credential}` }], ...more },
    });
  /** What a webhook was told of a call. */
  const toldAt = async (path: string, id: string) => {
    const find = () => receiver.events(path).find((event) => event.id === id);
    await until(() => find() !== undefined);
    return find()!;
  };

  test('a webhook is told of a call as LiteLLM tells it, signed, and never of a credential', async () => {
    const id = idOf(await chat('priced', { user: 'bob', metadata: { tags: ['nightly'] }, temperature: 0.5 }));
    const event = await toldAt('/signed', id);
    assert.partialDeepStrictEqual(event, {
      call_type: 'chat_completion',
      status: 'success',
      http_status: 200,
      model_group: 'priced',
      model_id: 'priced-1',
      custom_llm_provider: 'mock',
      attempts: 1,
      request_tags: ['nightly'],
      end_user: 'bob',
      model_parameters: { temperature: 0.5 },
      error_information: null,
      metadata: { user_api_key_alias: 'ci', user_api_key_user_id: 'anna', user_api_key_team_id: null },
    });
    const { prompt_tokens: input, completion_tokens: output, response_cost: cost } = event as Record<string, number>;
    assert.ok(input! > 0 && output! > 0);
    assert.equal(cost, Math.round((input! * 0.001 + output! * 0.002) * 1e9) / 1e9);
    assert.ok((event['endTime'] as number) >= (event['startTime'] as number));
    assert.ok((event['overhead_time_ms'] as number) > 0);

    const request = receiver.of('/signed').at(-1)!;
    const [, at, signature] =
      /^t=(\d+),v1=([0-9a-f]{64})$/.exec(String(request.headers['x-gatewayctl-signature'])) ?? [];
    const body = Buffer.from(request.body, 'latin1');
    assert.equal(createHmac('sha256', signingSecret).update(`${at}.`).update(body).digest('hex'), signature);
    assert.ok(Math.abs(Date.now() / 1_000 - Number(at)) < 60);
    // It says that it wants them, and bodies are on.
    assert.ok(String(event['messages']).includes(canary));
    assert.ok(String(event['response']).includes('A mock answer'));
    const all = receiver.received.map(({ body: text, headers }) => text + JSON.stringify(headers)).join('\n');
    assert.ok(!all.includes(key) && !all.includes(credential) && !all.includes(gateway.daemon.masterKey));
  });

  test('Langfuse gets a trace as the client names it and a generation with tokens and cost', async () => {
    const trace = { trace_id: 'trace-7', trace_name: 'a chain', session_id: 's-1', generation_name: 'step 2' };
    const id = idOf(await chat('priced', { metadata: trace }, { langfuse_trace_user_id: 'carla' }));
    const batches = () => receiver.bodies('/api/public/ingestion') as { batch: Ingested[] }[];
    const parts = () => batches().flatMap(({ batch }) => batch.filter(({ id: each }) => each.startsWith(id)));
    await until(() => parts().length === 2);
    assert.equal(
      receiver.of('/api/public/ingestion')[0]?.headers.authorization,
      `Basic ${Buffer.from('pk-lf-1:sk-lf-a-secret-of-langfuse').toString('base64')}`,
    );
    const [first, second] = parts();
    assert.partialDeepStrictEqual(first, {
      type: 'trace-create',
      body: { id: 'trace-7', name: 'a chain', sessionId: 's-1', userId: 'carla' },
    });
    assert.partialDeepStrictEqual(second, {
      type: 'generation-create',
      body: { id, traceId: 'trace-7', name: 'step 2', model: 'priced', level: 'DEFAULT' },
    });
    const { usageDetails: usage, costDetails: cost } = second!.body as Record<string, Record<string, number>>;
    assert.equal(usage!['total'], usage!['input']! + usage!['output']!);
    assert.ok(cost!['total']! > 0);
    assert.ok(!JSON.stringify(batches()).includes(canary), 'it does not say that it wants bodies');
  });

  test('OpenTelemetry gets a span by its conventions for generative AI, below the client’s own', async () => {
    const traceId = '4bf92f3577b34da6a3ce929d0e0e4736';
    const id = idOf(await chat('priced', {}, { traceparent: `00-${traceId}-00f067aa0ba902b7-01` }));
    const spans = () => receiver.of('/otlp/v1/traces').flatMap(spansOf);
    const find = () => spans().find(({ attributes }) => attributes['gatewayctl.request.id'] === id);
    await until(() => find() !== undefined);
    const span = find()!;
    assert.partialDeepStrictEqual(span, {
      traceId,
      parent: '00f067aa0ba902b7',
      name: 'chat priced',
      kind: 3,
      status: 0,
      service: 'gateway-test',
      attributes: {
        'gen_ai.operation.name': 'chat',
        'gen_ai.provider.name': 'mock',
        'gen_ai.request.model': 'priced',
        'gen_ai.request.stream': false,
        'http.response.status_code': 200,
        'gatewayctl.key.alias': 'ci',
      },
    });
    assert.ok((span.attributes['gen_ai.usage.output_tokens'] as number) > 0);
    assert.ok(span.ms > 0 && span.ms < 60_000);
    const { headers } = receiver.of('/otlp/v1/traces')[0]!;
    assert.deepEqual([headers['content-type'], headers['x-tenant']], ['application/x-protobuf', 'acme']);
  });

  test('what fails is told of to those who want failures alone, and what succeeds to the others', async () => {
    const failed = await chat('fails');
    const succeeded = await chat('priced', { stream: true });
    const event = await toldAt('/failures', idOf(failed));
    assert.partialDeepStrictEqual(event, { status: 'failure', http_status: failed.status, model_group: 'fails' });
    assert.match(JSON.stringify(event['error_information']), /error/);
    assert.equal((await toldAt('/successes', idOf(succeeded)))['stream'], true);
    assert.ok(!receiver.events('/failures').some(({ id }) => id === idOf(succeeded)));
    assert.ok(!receiver.events('/successes').some(({ id }) => id === idOf(failed)));
  });

  test('a file has a line for each call, and a new one begins where the old was moved away', async () => {
    const path = join(directory, 'calls.jsonl');
    const lines = async () => (await readFile(path, 'utf8').catch(() => '')).trim().split('\n').filter(Boolean);
    const has = async (id: string) => (await lines()).some((line) => (JSON.parse(line) as { id: string }).id === id);
    const first = idOf(await chat('priced'));
    await until(() => has(first));
    assert.equal((await stat(path)).mode & 0o777, 0o600);
    await rm(path);
    const second = idOf(await chat('priced'));
    await until(() => has(second));
  });

  test('a team’s own callback gets its calls alone, and nobody sees again what it was given', async () => {
    const team = (await gateway.request('POST', '/team/new', { body: { team_alias: 'red' } })).body.team_id as string;
    const ofTeam = await aKey({ team_id: team });
    const secret = 'whsec-of-the-team-0123456789';
    const set = await gateway.gatewayctl(['team', 'callback', 'set', 'red', 'webhook', '--vars', '-'], 'server', {
      stdin: JSON.stringify({ webhook_url: `${receiver.url}/red`, webhook_signing_secret: secret }),
    });
    assert.equal(set.exit, 0, set.err);
    const body = { model: 'priced', messages: [{ role: 'user', content: canary }] };
    const own = idOf(await gateway.request('POST', '/v1/chat/completions', { key: ofTeam, body }));
    const other = idOf(await chat('priced'));
    assert.partialDeepStrictEqual(await toldAt('/red', own), { metadata: { user_api_key_team_id: team } });
    await Promise.all([toldAt('/signed', own), toldAt('/signed', other)]);
    assert.deepEqual(
      receiver.events('/red').map(({ id }) => id),
      [own],
    );

    const shown = await gateway.request('GET', `/team/${team}/callback`);
    assert.partialDeepStrictEqual(shown.body.data, {
      success_callbacks: ['webhook'],
      failure_callbacks: ['webhook'],
      callback_vars: { webhook_signing_secret: '…6789' },
    });
    const { rows } = await gateway.pool.query('select callback_vars::text as kept from gatewayctl.owner_callbacks');
    const audit = await gateway.pool.query('select * from gatewayctl.audit_log');
    for (const text of [shown.text, JSON.stringify(rows), JSON.stringify(audit.rows), gateway.daemon.log.join('\n')])
      assert.ok(!text.includes(secret));

    await gateway.request('POST', `/team/${team}/disable_logging`, { body: {} });
    const hidden = idOf(await gateway.request('POST', '/v1/chat/completions', { key: ofTeam, body }));
    await toldAt('/signed', idOf(await chat('priced')));
    assert.ok(!receiver.received.some(({ body: text }) => text.includes(hidden)));
  });

  test('a key’s own callback gets its calls alone, with what is in them where it says so', async () => {
    const own = await aKey({ key_alias: 'green' });
    const vars = { webhook_url: `${receiver.url}/green`, turn_off_message_logging: 'false' };
    const set = await gateway.gatewayctl(
      ['key', 'callback', 'set', 'green', 'webhook', '--vars', '-'],
      'database-url',
      {
        stdin: JSON.stringify(vars),
      },
    );
    assert.equal(set.exit, 0, set.err);
    const call = () => gateway.chat(own, 'priced', { messages: [{ role: 'user', content: canary }] });
    // A change in direct mode reaches the daemon a moment after the command.
    await until(async () => {
      await call();
      return receiver.events('/green').length > 0;
    });
    const other = idOf(await chat('priced'));
    const id = idOf(await call());
    const event = await toldAt('/green', id);
    assert.ok(String(event['messages']).includes(canary));
    await toldAt('/signed', other);
    assert.ok(receiver.events('/green').every(({ metadata }) => metadata['user_api_key_alias'] === 'green'));
    assert.equal((await gateway.gatewayctl('key callback disable green --yes')).exit, 0);
    const hidden = idOf(await call());
    await toldAt('/signed', idOf(await chat('priced')));
    assert.ok(!receiver.received.some(({ body }) => body.includes(hidden)));
  });

  test('a team’s callback takes no variable of the daemon and no address with a user in it', async () => {
    const team = (await gateway.request('POST', '/team/new', { body: {} })).body.team_id as string;
    const refused = async (vars: object) =>
      (
        await gateway.request('POST', `/team/${team}/callback`, {
          body: { callback_name: 'webhook', callback_vars: vars },
        })
      ).status;
    assert.equal(await refused({ webhook_url: 'os.environ/GATEWAYCTL_MASTER_KEY' }), 400);
    assert.equal(await refused({ webhook_url: 'http://user:password@example.com' }), 400);
    assert.equal(await refused({ webhook_url: 'http://example.com', path: '/etc/passwd' }), 400);
    assert.equal(await refused({}), 400);
    const inMetadata = await gateway.request('POST', '/key/generate', {
      body: { metadata: { logging: [{ callback_name: 'langfuse', callback_vars: { langfuse_secret: 'sk-lf-1' } }] } },
    });
    assert.equal(inMetadata.status, 400, 'metadata is shown to whoever sees the key');
    assert.match(inMetadata.body.error.message, /gatewayctl key callback set/);
    const asUser = await gateway.request('GET', `/team/${team}/callback`, { key });
    assert.equal(asUser.status, 403);
  });

  test('requests and answers are kept encrypted, shown to administrators, and redacted for good', async () => {
    const id = idOf(await chat('priced', { padding: 'x'.repeat(3_000) }));
    const show = () => gateway.gatewayctl(['spend', 'body', 'get', id, '-o', 'json']);
    await until(async () => (await show()).exit === 0);
    const kept = JSON.parse((await show()).out) as Record<string, string>;
    assert.ok(kept['request']?.includes(canary) && kept['request'].endsWith('…[truncated]'));
    assert.ok((kept['request']?.length ?? 0) < 2_200 && !kept['request']?.includes(credential));
    assert.ok(kept['response']?.includes('A mock answer'));
    const rows = async () =>
      JSON.stringify((await gateway.pool.query('select * from gatewayctl.spend_log_bodies')).rows);
    assert.ok((await rows()).includes(id) && !(await rows()).includes(canary));

    const redacted = await gateway.gatewayctl(['spend', 'body', 'redact', id, '--yes'], 'database-url');
    assert.equal(redacted.exit, 0, redacted.err);
    const left = JSON.parse((await show()).out) as Record<string, unknown>;
    assert.deepEqual([left['request'], left['response']], [null, null]);
    assert.ok(left['redacted_at']);
  });

  test('a client may keep what is in its call from everybody', async () => {
    const id = idOf(await chat('priced', {}, { 'x-litellm-enable-message-redaction': 'true' }));
    const event = await toldAt('/signed', id);
    assert.deepEqual([event['messages'], event['response']], [null, null]);
    await until(async () => (await gateway.request('GET', `/spend/logs?request_id=${id}`)).body.length > 0);
    assert.equal((await gateway.request('GET', `/spend/logs/body?request_id=${id}`)).status, 404);
  });

  test('a callback of LiteLLM’s that is not served is warned of', () => {
    assert.ok(gateway.daemon.log.some((line) => line.includes('names prometheus, which gatewayctl does not serve')));
  });
});

interface Ingested {
  readonly id: string;
  readonly type: string;
  readonly body: Readonly<Record<string, unknown>>;
}
