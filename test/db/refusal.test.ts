import assert from 'node:assert/strict';
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { Client } from 'pg';
import { type EmbeddedServer, openEmbedded, throwaway } from '../../src/db/embedded.ts';
import { aStateDir, gatewayctl } from '../support/gateway.ts';

let stateDir: string;
let server: EmbeddedServer;
before(async () => {
  stateDir = await aStateDir();
  server = await openEmbedded({ stateDir, settings: throwaway });
  const client = new Client({ connectionString: server.url });
  await client.connect();
  await client.query('create role weak login; revoke create on database gatewayctl from public');
  await client.end();
});
after(async () => {
  await server[Symbol.asyncDispose]();
  await rm(stateDir, { recursive: true, force: true });
});

const cases = [
  ['a role that is not there', ['gatewayctl@', 'nobody-here@'], 4, /role "nobody-here" does not exist/],
  ['a database that is not there', ['/gatewayctl?', '/elsewhere?'], 3, /database "elsewhere" does not exist/],
  ['a role that may make no schema', ['gatewayctl@', 'weak@'], 5, /permission denied for database gatewayctl/],
] as const;

for (const [name, [from, to], exit, message] of cases) {
  test(`${name} is refused in PostgreSQL's words, with a status of its own`, async () => {
    const file = join(stateDir, `url-${exit}`);
    await writeFile(file, server.url.replace(from, to), { mode: 0o600 });
    const outcome = await gatewayctl(['migrate', 'up', '--database-url', `@${file}`]);
    assert.match(outcome.err, message);
    assert.doesNotMatch(outcome.err, /mistake of ours/);
    assert.equal(outcome.exit, exit);
  });
}
