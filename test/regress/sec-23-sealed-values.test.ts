import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { sealedTexts } from '../../src/db/sealed-fields.ts';
import { createVault } from '../../src/kernel/encryption.ts';
import { startUpstream, type Upstream } from '../proxy/upstream.ts';
import { type Gateway, startGateway, until } from '../support/gateway.ts';

let gateway: Gateway;
let upstream: Upstream;
before(async () => {
  upstream = await startUpstream({ text: 'hello' });
  gateway = await startGateway();
});
after(async () => {
  await gateway[Symbol.asyncDispose]();
  await upstream[Symbol.asyncDispose]();
});

const post = async (path: string, body: unknown) => {
  const answer = await gateway.request('POST', path, { body });
  assert.equal(answer.status, 200, answer.text);
};
const allSealed = async () => Array.fromAsync(sealedTexts(gateway.pool));

test('SEC-23, CVE-2026-114612: what was encrypted in one place opens in no other', async () => {
  for (const name of ['one', 'two']) {
    await post('/credentials', {
      credential_name: name,
      credential_values: { api_key: `sk-canary-of-credential-${name}`, api_base: `${upstream.url}/${name}` },
    });
    await post('/model/new', {
      model_name: `own-${name}`,
      litellm_params: {
        model: 'openai/x',
        api_key: `sk-canary-of-model-${name}`,
        api_base: upstream.url,
        allow_private_network: true,
      },
    });
  }
  const vault = createVault(Buffer.from(await readFile(join(gateway.stateDir, 'encryption-key'), 'utf8'), 'base64'));
  const texts = await allSealed();
  assert.equal(texts.length, 7);
  for (const { sealed, place } of texts) {
    // The key of the audit log is sealed for a purpose of its own: this vault opens it nowhere.
    if (place.table === 'audit_keys') assert.throws(() => vault.open(sealed, place), { type: 'sealed_value_damaged' });
    else assert.match(vault.open(sealed, place), /canary|http/);
    for (const other of texts.filter((each) => each.place !== place)) {
      assert.throws(() => vault.open(sealed, other.place), { type: 'sealed_value_damaged' });
    }
  }

  // Every column that holds a ciphertext is one of those just tried, so that a new one cannot be left out.
  const { rows } = await gateway.pool.query<{ table_name: string; column_name: string }>(
    `select table_name, column_name from information_schema.columns
     where table_schema = 'gatewayctl' and data_type in ('text', 'jsonb', 'ARRAY')`,
  );
  const holding = new Set<string>();
  for (const { table_name: table, column_name: column } of rows) {
    const found = await gateway.pool.query(
      `select 1 from gatewayctl."${table}" where "${column}"::text like '%gwenc:%' limit 1`,
    );
    if (found.rows.length > 0) holding.add(`${table}.${column}`);
  }
  const tried = new Set(texts.map(({ place: { table, column } }) => `${table}.${column.split('.')[0]}`));
  assert.deepEqual([...holding].toSorted(), [...tried].toSorted());
});

test('SEC-23, CVE-2026-114612: a daemon sends no pasted credential to a provider', async () => {
  const key = (await gateway.request('POST', '/key/generate', { body: {} })).body.key;
  assert.equal((await gateway.chat(key, 'own-one')).status, 200);
  const stolen = (await allSealed()).find(({ place: { table } }) => table === 'credentials');
  assert.ok(stolen);
  await gateway.pool.query(`update gatewayctl.models set api_key = $1 where name = 'own-one'`, [stolen.sealed]);
  await gateway.pool.query(`select pg_notify('gatewayctl', '{"entity":"model"}')`);
  await until(async () => (await gateway.chat(key, 'own-one')).status >= 400);
  assert.equal((await gateway.chat(key, 'own-two')).status, 200, 'the others go on');
  assert.ok(upstream.requests.every(({ headers }) => !headers.authorization?.includes('of-credential')));
  await until(() => gateway.daemon.log.some((line) => /was changed or belongs to another row/.test(line)));
});
