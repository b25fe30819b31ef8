import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { type Gateway, type Outcome, startGateway, type Way, ways } from '../support/gateway.ts';

/**
 * One life of a gateway: what is made, shown, changed, refused and deleted, in this order. The same lines are run in
 * each way against a database of its own, and must say the same, to the letter.
 */
const lines: readonly string[] = [
  'key list',
  'team list',
  'user list',
  'spend logs',
  'spend report',
  'spend report --by team,model,month --totals',
  'spend report --by team,colour',
  'spend export',
  'spend export --columns nothing',
  'spend reconcile -',
  'budget simulate --limit 5 --last 30d --window 1d --by team,user',
  'budget simulate --limit 5',

  'team create --id platform --alias Platform --max-budget 500 --models gpt-4o,openai/* --metadata {"floor":3}',
  'team create --id platform',
  'team create --alias Platform',
  'team create --max-budget -1',
  'team create --org nobody --id orphan',
  'team get Platform --json',
  'team get Platform',
  'team get platform -o yaml',
  'team get nobody',
  'team get nobody --json',
  'team update platform --max-budget none --json',
  'team update platform',
  'team update nobody --max-budget 1',
  'team block Platform',
  'team list --json',
  'team unblock Platform',

  'user create --id anna --email anna@example.com --alias Anna --max-budget 50 --role internal_user --json',
  'user create --id anna',
  'user create --id ben --email ANNA@example.com',
  'user create --id carl --teams nobody',
  'user get ANNA@example.com --json',
  'user get nobody',
  'user update anna --role proxy_admin_viewer --json',
  'user update anna --role king',
  'user list -o csv --columns user_id,user_email,user_role',

  'team member add Platform anna',
  'team member add Platform anna',
  'team member update Platform anna --role admin',
  'team member update Platform nobody --role admin',
  'team member delete Platform nobody --yes',
  'team get Platform --json',

  'key generate --alias ci --team Platform --user anna --models gpt-4o --max-budget 25 --expires 2099-01-01 -q',
  'key generate --alias ci -q',
  'key generate --alias lost --team nobody',
  'key generate --alias lost --org nobody',
  'key generate --alias x --models ""',
  'key generate --max-budgett 5',
  'key get ci --json',
  'key get ci',
  'key get nobody',
  'key get sk-gw1_00000000000000000000000000000000000000',
  'key list --team Platform --json',
  'key list --team nobody',
  'key list --limit 101',
  'key list --sort colour',
  'key update ci --max-budget none --expires never --json',
  'key update ci',
  'key block ci',
  'key list --json',
  'key unblock ci',
  'key rotate ci --grace 24h --yes -q',
  'key rotate nobody --yes',
  'key delete ci',
  'user delete anna --confirm anna',

  'model create llama --provider-model mock/llama --info {"id":"llama-1","mode":"chat"} --input-cost-per-token 0.001 --json',
  'model create llama --provider-model mock/llama --info {"id":"llama-1"}',
  'model create llama --provider-model bedrock/llama',
  'model get llama --json',
  'model get nobody',
  'model update llama --params {"mock_response":"hi"} --json',
  'model update llama --params {"weight":1}',
  'model list --name llama',
  'model delete llama --yes --json',

  'budget create daily --max-budget 10 --budget-duration 1d --json',
  'org create --alias Acme --id acme --max-budget 500 --budget daily --json',
  'org create --alias Acme',
  'org member add Acme anna --role org_admin --json',
  'org member list Acme -o csv',
  'org get acme --json',
  'org get nobody',
  'customer create end --budget daily --json',
  'customer create end --budget daily --max-budget 1',
  'tag create batch --max-budget 1 --json',
  'budget get daily --json',
  'budget delete daily --yes',
  'org delete acme --confirm acme',
  'org delete acme --confirm acme --cascade --json',

  'spend logs --key ci --json',
  'spend logs --key nobody',
  'spend report --by team --json',

  'key delete ci nobody --yes',
  'key delete ci --yes',
  'team delete Platform --confirm nobody',
  'team delete Platform --confirm Platform --json',
  'user delete anna --confirm anna -o tsv',
  'key list',
];

/** Unlike in every run: what is made up, when it was, and who asked. */
function normal(text: string): string {
  return text
    .replaceAll(/sk-gw1_[0-9A-Za-z]{38}/g, 'SECRET')
    .replaceAll(/sk-gw1_…[0-9A-Za-z]{4}/g, 'MASKED')
    .replaceAll(/\b[0-9a-f]{64}\b/g, 'HASH')
    .replaceAll(/\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b/g, 'UUID')
    .replaceAll(/20(?:2|3)\d-\d\d-\d\dT[\d:.]+Z/g, 'TIME')
    .replaceAll(/(created_by|updated_by)(["']?: )["']?[^"',\n]+["']?/g, '$1$2WHO')
    .replaceAll(/ (--direct|--(state-dir|database-url|server) \S+)/g, '')
    .replaceAll(/^Request id: .*\n/gm, '')
    .replaceAll(/,?"request_id":"[^"]*"/g, '');
}

const argvOf = (line: string) =>
  [...line.matchAll(/"([^"]*)"(?=\s|$)|(\S+)/g)].map(([, quoted, bare]) => quoted ?? bare ?? '');

async function live(way: Way): Promise<Outcome[]> {
  await using gateway: Gateway = await startGateway();
  const outcomes: Outcome[] = [];
  for (const line of lines) {
    const { out, err, exit } = await gateway.gatewayctl(argvOf(line), way);
    outcomes.push({ out: normal(out), err: normal(err), exit });
  }
  return outcomes;
}

describe('the same commands', () => {
  const outcomes = new Map<Way, Outcome[]>();
  before(async () => {
    await Promise.all(ways.map(async (way) => outcomes.set(way, await live(way))));
  });
  after(() => outcomes.clear());

  for (const [index, line] of lines.entries()) {
    test(`say the same in every way: ${line}`, () => {
      const [first, ...others] = ways.map((way) => ({ way, outcome: outcomes.get(way)?.[index] }));
      assert.ok(first?.outcome);
      for (const { way, outcome } of others) assert.deepEqual(outcome, first.outcome, `${way} and ${first.way} differ`);
    });
  }

  test('met every kind of end', () => {
    const exits = new Set(outcomes.get('server')?.map(({ exit }) => exit));
    for (const exit of [0, 2, 3, 6, 9]) assert.ok(exits.has(exit), `nothing ended with ${exit}`);
  });
});
