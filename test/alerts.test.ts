import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { Receiver } from './callbacks/receiver.ts';
import type { Received } from './passthrough/upstream.ts';
import { aStateDir, type Daemon, type Gateway, startDaemon, startGateway, until } from './support/gateway.ts';

const signingKey = Buffer.alloc(32, 7);
const secret = `whsec_${signingKey.toString('base64')}`;

const configFor = (url: string, enforce = 'strict'): string => `
model_list:
  - model_name: dollar
    litellm_params: {model: mock/x, input_cost_per_token: 0.001, output_cost_per_token: 0, mock_prompt_tokens: 1000}
gatewayctl:
  enforce: ${enforce}
  alerts:
    thresholds: [50]
    timeout: 2s
    webhooks:
      - {name: ops, url: "${url}/ops?token=hidden-in-the-url", secret: os.environ/ALERT_SECRET, allow_private_network: true}
      - {name: picky, url: "${url}/picky", secret: ["${secret}", "whsec_${Buffer.alloc(24).toString('base64')}"], events: [crossed], allow_private_network: true}
      - {name: outside, url: "${url}/outside", secret: "${secret}", events: [soft_budget]}
`;

let receiver: Receiver;
let gateway: Gateway;
let other: Daemon;
let config: string;
let directory: string;
let startOther: () => Promise<Daemon>;
let refusals = 3;
/** While it is set, nobody is answered. */
let isSilent = false;

before(async () => {
  receiver = await new Receiver().listen();
  receiver.reply = ({ url, body }, response) => {
    if (url === '/picky' && body.includes('stubborn')) response.writeHead(refusals-- > 0 ? 500 : 200).end();
    else if (url === '/picky' || !isSilent) response.writeHead(204).end();
  };
  directory = await aStateDir();
  config = join(directory, 'config.yaml');
  await writeFile(config, configFor(receiver.url));
  const options = { args: ['--config', config], env: { ALERT_SECRET: secret } };
  gateway = await startGateway(options);
  const stateDir = await aStateDir();
  const env = { ...options.env, GATEWAYCTL_MASTER_KEY: gateway.daemon.masterKey };
  startOther = () => startDaemon({ ...options, stateDir, databaseUrl: gateway.databaseUrl, env });
  other = await startOther();
});
after(async () => {
  await other[Symbol.asyncDispose]();
  await gateway[Symbol.asyncDispose]();
  await receiver[Symbol.asyncDispose]();
  await rm(directory, { recursive: true, force: true });
});

const post = async (path: string, body?: object, method = 'POST') => {
  const answer = await gateway.request(method, path, body && { body });
  assert.equal(answer.status, 200, answer.text);
  return answer.body;
};

interface Told {
  readonly id: string;
  readonly event: string;
  readonly event_group: string;
  readonly spend: number;
  readonly max_budget: number | null;
  readonly token: string | null;
  readonly team_id: string | null;
  readonly budget: {
    readonly label: string;
    readonly model: string | null;
    readonly duration: string | null;
    readonly threshold_percent: number | null;
  };
}

const ops = '/ops?token=hidden-in-the-url';
const told = (path = ops): Told[] => receiver.bodies(path) as unknown as Told[];
const toldOf = (label: string, path = ops) => told(path).filter(({ budget }) => budget?.label === label);
const events = (label: string) =>
  toldOf(label)
    .map(({ event, budget }) => `${event} ${budget.threshold_percent ?? ''}`.trim())
    .toSorted();

/** As a receiver checks it that knows nothing but the standard. */
function isSigned({ headers, body }: Received): boolean {
  const [id, at] = [headers['webhook-id'], headers['webhook-timestamp']];
  assert.ok(Math.abs(Number(at) - Date.now() / 1_000) < 60);
  const signature = createHmac('sha256', signingKey)
    .update(`${String(id)}.${String(at)}.${Buffer.from(body, 'latin1').toString()}`)
    .digest('base64');
  return String(headers['webhook-signature']).split(' ').includes(`v1,${signature}`);
}

describe('an alert of a budget', () => {
  test('comes once for each amount that is reached, signed, in LiteLLM’s words, and again when the spend was reset', async () => {
    const { key, token } = await post('/key/generate', { key_alias: 'one', max_budget: 4, soft_budget: 1 });
    const call = async () => assert.equal((await gateway.chat(key, 'dollar')).status, 200);
    await call();
    await until(() => events('one').join() === 'soft_budget_crossed');
    await call();
    await until(() => events('one').length === 2);
    for (let count = 2; count < 4; count++) await call();
    for (let count = 0; count < 3; count++) assert.equal((await gateway.chat(key, 'dollar')).status, 429);
    const expected = ['budget_crossed', 'soft_budget_crossed', 'threshold_crossed 50'];
    await until(() => events('one').length >= 3);
    assert.deepEqual(events('one'), expected);
    const crossed = toldOf('one').find(({ event }) => event === 'budget_crossed');
    assert.partialDeepStrictEqual(crossed, {
      event_group: 'key',
      spend: 4,
      max_budget: 4,
      soft_budget: 1,
      token,
      key_alias: 'one',
    });
    assert.ok(receiver.of(ops).every(isSigned));
    await until(
      () =>
        toldOf('one', '/picky')
          .map(({ event }) => event)
          .join() === 'budget_crossed',
    );
    assert.ok(receiver.of('/picky').every(isSigned));

    await until(async () => (await post('/key/info?key=one', undefined, 'GET')).info.total_spend === 4);
    await post('/key/one/reset_spend', { reset_to: 1.5 });
    for (let count = 0; count < 2; count++) await call();
    await until(() => events('one').length === 4);
    assert.deepEqual(events('one'), [...expected, 'threshold_crossed 50']);
    assert.equal(new Set(told().map(({ id }) => id)).size, told().length);
  });

  test('comes for every kind of budget, and for each of several of one key', async () => {
    const { pool } = gateway;
    const stamps = `now(), 'test', now(), 'test'`;
    await post('/organization/new', {
      organization_alias: 'all-org',
      organization_id: 'all-org',
      max_budget: 1,
      models: [],
    });
    await post('/user/new', { user_id: 'all-user', auto_create_key: false });
    await post('/team/new', { team_id: 'all-team', team_alias: 'all-team', organization_id: 'all-org', max_budget: 1 });
    await post('/team/member_add', {
      team_id: 'all-team',
      member: { role: 'user', user_id: 'all-user' },
      max_budget_in_team: 1,
    });
    await post('/customer/new', { user_id: 'all-customer', max_budget: 1 });
    await post('/tag/new', { name: 'all-tag', max_budget: 1 });
    await pool.query(
      `insert into gatewayctl.users (id, max_budget, created_at, created_by, updated_at, updated_by) values ('lone-user', 1000000000, ${stamps})`,
    );
    const lone = await post('/key/generate', { key_alias: 'lone', user_id: 'lone-user' });
    const { key } = await post('/key/generate', {
      key_alias: 'all-key',
      team_id: 'all-team',
      user_id: 'all-user',
      max_budget: 1,
      budget_duration: '30d',
      budget_limits: [{ budget_duration: '1d', max_budget: 1 }],
      model_max_budget: { dollar: { budget_limit: 1, time_period: '7d' } },
    });
    const more = { user: 'all-customer', metadata: { tags: ['all-tag'] } };
    assert.equal((await gateway.chat(key, 'dollar', more)).status, 200);
    assert.equal((await gateway.chat(lone.key, 'dollar')).status, 200);
    const crossed = () =>
      told()
        .filter(({ event, budget }) => event === 'budget_crossed' && /^(all|lone)-|in Team=all-team/.test(budget.label))
        .map(({ event_group: group, budget }) => [group, budget.duration, budget.model].filter(Boolean).join(' '))
        .toSorted();
    const expected = [
      'customer',
      'internal_user',
      'key 1d',
      'key 30d',
      'key 7d dollar',
      'organization',
      'tag',
      'team',
      'team_member',
    ];
    await until(() => crossed().length >= expected.length);
    assert.deepEqual(crossed(), expected);
  });

  test('comes once when two daemons reach it at the same time, and when a call has no room', async () => {
    await post('/team/new', { team_id: 'shared', team_alias: 'shared', max_budget: 10 });
    const { key } = await post('/key/generate', { team_id: 'shared' });
    const chats = Array.from({ length: 40 }, (_, index) => (index % 2 ? other : gateway.daemon).chat(key, 'dollar'));
    const statuses = new Set((await Promise.all(chats)).map(({ status }) => status));
    assert.deepEqual(statuses, new Set([200, 429]));
    await until(() => events('shared').length >= 2);
    for (const daemon of [gateway.daemon, other]) assert.equal((await daemon.chat(key, 'dollar')).status, 429);
    const { rows } = await gateway.pool.query<{ event: string }>(
      `select event from gatewayctl.alerts where holder_id = 'shared' order by event`,
    );
    assert.deepEqual(
      rows.map(({ event }) => event),
      ['crossed', 'threshold'],
    );
    assert.deepEqual(events('shared'), ['budget_crossed', 'threshold_crossed 50']);

    const small = await post('/key/generate', { key_alias: 'small', max_budget: 1.2 });
    const saying = (words: number) => ({ messages: [{ role: 'user', content: 'word '.repeat(words) }] });
    for (let count = 0; count < 3; count++) {
      assert.equal((await gateway.chat(small.key, 'dollar', saying(2_000))).status, 429);
    }
    // That one was too large for all of the budget; the next ones are for what is left.
    for (const status of [200, 429, 429])
      assert.equal((await gateway.chat(small.key, 'dollar', saying(200))).status, status);
    await until(() => toldOf('small').some(({ event }) => event === 'budget_crossed'));
    assert.partialDeepStrictEqual(
      toldOf('small').filter(({ event }) => event === 'budget_crossed'),
      [{ spend: 1, budget: { cause: 'refusal' } }],
    );
  });

  test('that is answered with 500 three times comes a fourth time under the same id, and one that may not leave does not', async () => {
    const { key } = await post('/key/generate', { key_alias: 'stubborn', max_budget: 1, soft_budget: 1 });
    assert.equal((await gateway.chat(key, 'dollar')).status, 200);
    await until(() => toldOf('stubborn', '/picky').length === 4, 20_000);
    const requests = receiver.of('/picky').filter(({ body }) => body.includes('stubborn'));
    assert.equal(new Set(requests.map(({ headers }) => headers['webhook-id'])).size, 1);
    assert.ok(requests.every(isSigned));
    const list = async (state: string) =>
      JSON.parse((await gateway.gatewayctl(`alert list --state ${state} --json`)).out) as Record<string, unknown>[];
    await until(async () => (await list('sent')).some(({ label, attempts }) => label === 'stubborn' && attempts === 4));
    const outside = (await list('pending')).find(({ label }) => label === 'stubborn');
    assert.partialDeepStrictEqual(outside, { webhook: 'outside', event: 'soft_budget' });
    assert.match(String(outside?.['last_error']), /allow_private_network/);
    assert.deepEqual(receiver.of('/outside'), []);
  });

  test('is not lost with a daemon that is killed before it was booked, nor with one that waits for an answer', async () => {
    const first = await post('/key/generate', { key_alias: 'killed-early', max_budget: 1 });
    assert.equal((await other.chat(first.key, 'dollar')).status, 200);
    await other.stop('SIGKILL');
    other = await startOther();
    await until(() => toldOf('killed-early').some(({ event }) => event === 'budget_crossed'));

    isSilent = true;
    const second = await post('/key/generate', { key_alias: 'killed-late', max_budget: 1 });
    assert.equal((await other.chat(second.key, 'dollar')).status, 200);
    await until(() => toldOf('killed-late').length >= 2);
    await other.stop('SIGKILL');
    isSilent = false;
    const waited = toldOf('killed-late').length;
    other = await startOther();
    await until(() => toldOf('killed-late').length > waited);
    assert.equal(new Set(toldOf('killed-late').map(({ id }) => id)).size, 2);
  });

  test('can be tried, and nobody is shown a secret or where it leads', async () => {
    const { out, err, exit } = await gateway.gatewayctl('alert test --json');
    assert.equal(exit, 1);
    assert.match(err, /1 of 3 did not take it/);
    const tried = JSON.parse(out) as { webhook: string; delivered: boolean }[];
    assert.deepEqual(
      tried.map(({ webhook, delivered }) => [webhook, delivered]),
      [
        ['ops', true],
        ['picky', true],
        ['outside', false],
      ],
    );
    assert.ok(isSigned(receiver.of(ops).at(-1)!));
    assert.equal((await gateway.gatewayctl('alert test nobody')).exit, 3);
    const said = [out, err, gateway.daemon.log, other.log, (await gateway.gatewayctl('alert list -o wide')).out].join(
      '\n',
    );
    assert.doesNotMatch(said, /whsec_|hidden-in-the-url/);
  });
});

test('enforce: observe lets through what would be refused, books it, and says so in rows, reports and alerts', async () => {
  const enforce = async (how: string) => {
    await writeFile(config, configFor(receiver.url, how));
    assert.equal((await gateway.gatewayctl('daemon reload')).exit, 0);
  };
  await enforce('observe');
  const { key } = await post('/key/generate', { key_alias: 'observed', max_budget: 1 });
  const slow = await post('/key/generate', { key_alias: 'limited', rpm_limit: 1 });
  for (const each of [key, key, key, slow.key, slow.key])
    assert.equal((await gateway.chat(each, 'dollar')).status, 200);
  await until(async () => (await post('/key/info?key=observed', undefined, 'GET')).info.spend === 3);
  const rows = async (alias: string) =>
    JSON.parse((await gateway.gatewayctl(`spend logs --key ${alias} --would-refuse --json`)).out) as {
      would_refuse: string;
    }[];
  assert.equal((await rows('observed')).length, 2);
  assert.match(
    (await rows('observed'))[0]!.would_refuse,
    /^budget_exceeded: Budget has been exceeded! Current cost: 2/,
  );
  await until(async () => (await rows('limited')).length === 1);
  assert.match((await rows('limited'))[0]!.would_refuse, /^throttling_error: /);
  const report = JSON.parse((await gateway.gatewayctl('spend report --would-refuse --json')).out) as object[];
  assert.partialDeepStrictEqual(report, [
    { label: 'observed', requests: 2, spend: 2 },
    { label: 'limited', requests: 1 },
  ]);
  const why = await gateway.gatewayctl('explain --key observed --model dollar --json');
  assert.equal(why.exit, 0);
  assert.match(why.out, /"outcome": ?"observe"/);
  await until(() => toldOf('observed').some(({ event }) => event === 'budget_crossed'));
  assert.partialDeepStrictEqual(
    toldOf('observed').find(({ event }) => event === 'budget_crossed'),
    {
      budget: { enforced: false },
    },
  );
  assert.ok(gateway.daemon.log.some((line) => line.includes('Let through, as enforce is observe')));
  await enforce('strict');
  assert.equal((await gateway.chat(key, 'dollar')).status, 429);
});
