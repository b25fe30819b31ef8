import { describe, test } from 'node:test';
import assert from 'node:assert/strict';
import { keyToBooks } from './core.ts';
import { installedPostgres, startPostgres } from './postgres.ts';
import { masterKey, startSite } from './support.ts';
import { gatewayctl } from '../support/gateway.ts';

for (const major of [14, 15, 16, 17]) {
  const programs = installedPostgres(major);
  const skip =
    programs === undefined && `PostgreSQL ${major} is not installed here (apt-get install postgresql-${major})`;
  describe(`with the operator's own PostgreSQL ${major}`, { skip }, () => {
    test('the key, the calls and the books are as with the embedded one', async () => {
      await using postgres = await startPostgres(programs!);
      await using site = await startSite({ databaseUrl: postgres.url });
      await keyToBooks(site);

      const ways = [
        { name: 'server', line: `--server ${site.daemon.url}`, env: { GATEWAYCTL_KEY: masterKey } },
        { name: 'socket', line: `--state-dir ${site.stateDir}`, env: {} },
        { name: 'database', line: `--database-url ${postgres.url}`, env: {} },
      ];
      const told = await Promise.all(
        ways.map(({ line, env }) => gatewayctl(`key get notebook --json ${line}`, { env })),
      );
      for (const { out, exit, err } of told) {
        assert.equal(exit, 0, err);
        assert.equal(out, told[0]?.out);
      }
    });
  });
}
