import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { isReading } from '../../src/kernel/operation.ts';
import { operations } from '../../src/operations.ts';
import { type Gateway, startGateway } from '../support/gateway.ts';
import { type Caller, callers, classes, privileges, type Site } from './privileges.ts';

let gateway: Gateway;
let directory: string;
let site: Site;
const secrets = new Map<Caller, string>();

before(async () => {
  directory = await mkdtemp(join(tmpdir(), 'gatewayctl-'));
  const config = join(directory, 'config.yaml');
  await writeFile(
    config,
    'litellm_settings: { cache: true, default_internal_user_params: { available_teams: [t1] } }\n',
  );
  // An issuer that nobody answers for: what is asked of a token is refused, and the question is answered.
  const env = { GATEWAYCTL_JWT: 'true', JWT_ISSUER: 'http://127.0.0.1:9', JWT_AUDIENCE: 'here' };
  gateway = await startGateway({ args: ['--config', config], env });
  ({ site } = await build());
});
after(async () => {
  await gateway[Symbol.asyncDispose]();
  await rm(directory, { recursive: true, force: true });
});

async function post(path: string, body: object): Promise<Record<string, string>> {
  const answer = await gateway.request('POST', path, { body });
  assert.equal(answer.status, 200, `${path} ${JSON.stringify(body)}: ${answer.text}`);
  return answer.body;
}

/**
 * Two organizations; two teams in the first and one in the second; in each team an administrator and a member, and a key of
 * the member's. The callers stand in the first team, or above it.
 */
async function build(): Promise<{ site: Site }> {
  for (const organization of ['o1', 'o2']) {
    await post('/organization/new', { organization_id: organization, organization_alias: organization });
  }
  for (const [team, organization] of [
    ['t1', 'o1'],
    ['t2', 'o1'],
    ['t3', 'o2'],
  ]) {
    const models = ['gpt-4o', 'mock-gpt'];
    await post('/team/new', { team_id: team, team_alias: `Team ${team}`, organization_id: organization, models });
  }
  const people: readonly (readonly [id: string, role: string, team?: string, teamRole?: string])[] = [
    ['member', 'internal_user', 't1', 'user'],
    ['viewer', 'internal_user_viewer', 't1', 'user'],
    ['lead', 'internal_user', 't1', 'admin'],
    ['head', 'internal_user'],
    ['watcher', 'proxy_admin_viewer'],
    ['chief', 'proxy_admin'],
    ['spare', 'internal_user'],
    ['mate', 'internal_user', 't1', 'user'],
    ['neighbour', 'internal_user', 't2', 'user'],
    ['foreigner', 'internal_user', 't3', 'user'],
  ];
  for (const [id, role, team, teamRole] of people) {
    const home = role.startsWith('internal') ? (team === 't3' ? 'o2' : 'o1') : undefined;
    await post('/user/new', {
      user_id: id,
      user_email: `${id}@example.com`,
      user_role: role,
      auto_create_key: false,
      organization_id: home,
    });
    if (team !== undefined) await post('/team/member_add', { team_id: team, member: { role: teamRole, user_id: id } });
  }
  await post('/organization/member_update', { organization_id: 'o1', user_id: 'head', role: 'org_admin' });
  const keyOf = async (alias: string, owner: object) => post('/key/generate', { key_alias: alias, ...owner });
  const of = async (user: string) => (await keyOf(`of-${user}`, { user_id: user }))['key'] ?? '';
  secrets.set('service', (await keyOf('of-service', { team_id: 't1' }))['key'] ?? '');
  secrets.set('internal_user', await of('member'));
  secrets.set('internal_user_viewer', await of('viewer'));
  secrets.set('team_admin', await of('lead'));
  secrets.set('org_admin', await of('head'));
  secrets.set('proxy_admin_viewer', await of('watcher'));
  secrets.set('proxy_admin', await of('chief'));
  secrets.set('master', gateway.daemon.masterKey);
  const held: Record<string, string> = {};
  for (const [user, team] of [
    ['mate', 't1'],
    ['neighbour', 't2'],
    ['foreigner', 't3'],
  ] as const) {
    held[user] = (await keyOf(`held-${user}`, { user_id: user, team_id: team }))['token'] ?? '';
  }
  return { site: await furnish(held) };
}

/** What the operations on other objects are tried on. */
async function furnish(keys: Record<string, string>): Promise<Site> {
  await post('/budget/new', { budget_id: 'b1', max_budget: 10 });
  await post('/customer/new', { user_id: 'c1', max_budget: 10 });
  await post('/tag/new', { name: 'tag1' });
  await post('/model/new', {
    model_name: 'm1',
    litellm_params: { model: 'mock/m1' },
    model_info: { id: 'm1', access_groups: ['g1'] },
  });
  await post('/credentials', { credential_name: 'cred1', credential_values: { api_key: 'sk-provider-1234567890' } });
  await post('/config/pass_through_endpoint', { path: '/through1', target: 'http://127.0.0.1:9' });
  const borrowing = { model: 'openai/m3', litellm_credential_name: 'cred3' };
  await post('/credentials', { credential_name: 'cred3', credential_values: { api_key: 'sk-provider-1234567890' } });
  await post('/model/new', { model_name: 'm3', litellm_params: borrowing, model_info: { id: 'm3' } });
  const invitation = await post('/invitation/new', { user_id: 'mate' });
  const claim = { jwt_claim_name: 'client', jwt_claim_value: 'one', key: keys['mate'] };
  const mapping = await post('/jwt/key/mapping/new', claim);
  const audits: Record<string, string> = {};
  for (const team of ['t1', 't2', 't3']) {
    const { body } = await gateway.request('GET', `/audit?object_type=team&object_id=${team}&size=1`);
    audits[team] = body.entries[0].id;
  }
  return { keys, invitation: invitation['id'] ?? '', mapping: mapping['id'] ?? '', audits };
}

function verdictOf(status: number): string {
  if (status >= 200 && status < 300) return 'y';
  return { 401: 'u', 403: 'f', 404: 'n' }[status] ?? `(${status})`;
}

/** What nobody has, in the form of what somebody has. */
const absent = (name: string): string => (/^[0-9a-f]{64}$/.test(name) ? '0'.repeat(64) : `no-${name}`);

/** Names of all objects, the longest first. */
const names = (): string[] =>
  [...Object.values(site.keys), 'mate', 'neighbour', 'foreigner', 't1', 't2', 't3', 'o1', 'o2'].toSorted(
    (one, other) => other.length - one.length,
  );

const withAbsent = (json: string): string =>
  names().reduce((text, name) => text.replaceAll(`"${name}"`, `"${absent(name)}"`), json);

/** An answer without the names in it, and without what is of one request alone. */
const nameless = (text: string): string =>
  names()
    .flatMap((name) => [absent(name), name])
    .reduce((rest, name) => rest.replaceAll(name, 'NAME'), text);

/** Changes are tried and not made, so that every cell meets the same world. */
async function ask(
  command: string,
  caller: Caller,
  { index, isAbsent = false }: { index: number; isAbsent?: boolean },
): Promise<{ verdict: string; text: string }> {
  const operation = operations.find((each) => each.command.join(' ') === command);
  const row = privileges[command];
  assert.ok(operation && row);
  const [method, pattern] = operation.route;
  const json = JSON.stringify(row.input(classes[index] ?? 'own', caller, site));
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- what rows make is an object
  const given = JSON.parse(isAbsent ? withAbsent(json) : json) as Record<string, unknown>;
  const path = pattern.replaceAll(/:(\w+)/g, (_, name: string) => {
    const value = given[name];
    assert.equal(typeof value, 'string');
    delete given[name];
    return encodeURIComponent(String(value));
  });
  const isRead = isReading(operation);
  const query = new URLSearchParams();
  if (method === 'GET') for (const [name, value] of Object.entries(given)) query.set(name, String(value));
  const target = `${path}${query.size > 0 ? `?${query.toString()}` : ''}`;
  const key = secrets.get(caller) ?? '';
  if (operation.follows) return beginningOf(target, key);
  const answer = await gateway.request(method, target, {
    key,
    ...(method !== 'GET' && { body: isRead ? given : { ...given, dry_run: true } }),
  });
  return { verdict: verdictOf(answer.status), text: answer.text };
}

/** Of an answer that does not end, where it is one. */
async function beginningOf(target: string, key: string): Promise<{ verdict: string; text: string }> {
  const response = await fetch(gateway.daemon.url + target, { headers: key ? { authorization: `Bearer ${key}` } : {} });
  if (!response.ok) return { verdict: verdictOf(response.status), text: await response.text() };
  await response.body?.cancel();
  return { verdict: verdictOf(response.status), text: '' };
}

test('every operation has a row, and every row an operation', () => {
  assert.deepEqual(Object.keys(privileges).toSorted(), operations.map(({ command }) => command.join(' ')).toSorted());
});

for (const [command, row] of Object.entries(privileges)) {
  describe(command, () => {
    for (const caller of callers) {
      test(`by ${caller}: ${row.cells[caller]}`, async () => {
        const cells = row.cells[caller].split('');
        const answers = [];
        for (const index of cells.keys()) {
          if (cells[index] === '-') answers.push({ verdict: '-', text: '' });
          else answers.push(await ask(command, caller, { index }));
        }
        const found = answers.map(({ verdict }) => verdict).join('');
        assert.equal(found, row.cells[caller], answers.map(({ text }) => text.slice(0, 300)).join('\n'));
        // What one may not know of is, to the letter, what is not there.
        for (const [index, { verdict, text }] of answers.entries()) {
          if (verdict !== 'n') continue;
          const nowhere = await ask(command, caller, { index, isAbsent: true });
          assert.equal(nameless(text), nameless(nowhere.text));
        }
      });
    }
  });
}
