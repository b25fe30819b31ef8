import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { tryAdminRoutes } from './admin-paths.ts';
import { filesBelow, tablesAsText } from './sinks.ts';
import { startWorld, type World } from './world.ts';

let world: World;
let user: string;
let viewer: string;
let paths = 0;
before(async () => {
  world = await startWorld();
  user = await world.newKey('key of somebody');
  await world.request('POST', '/user/new', { body: { user_id: 'looker', user_role: 'proxy_admin_viewer' } });
  viewer = await world.newKey('key of a viewer', { user_id: 'looker' });
});
after(() => world[Symbol.asyncDispose]());

const none = (found: readonly string[], where: string) => assert.deepEqual([...found], [], where);

/** Everything that was answered with an error since the last time. */
function noneWasTold() {
  const leaks = world.told
    .splice(0)
    .flatMap(({ where, text }) => world.canaries.find(text).map((each) => `${where}: ${each}`));
  none(leaks, 'in an error');
}

test('no admin route tells in an error what was sent to it', async () => {
  paths += await tryAdminRoutes(world, { user, viewer });
  noneWasTold();
});

test('nothing of it is in the logs', () => {
  none(world.canaries.find(world.daemon.log.join('\n')), 'in the log');
  none(world.canaries.find(world.daemon.printed.join('')), 'on standard output');
});

test('nor in the database', async () => {
  for (const [table, text] of await tablesAsText(world.pool)) none(world.canaries.find(text), `in the table ${table}`);
  for (const file of await filesBelow(world.clusterDir)) {
    none(world.canaries.find(await file.read(), ['secret', 'content']), file.path);
  }

});
