import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { tryAdminRoutes } from './admin-paths.ts';
import { bringCredentials, callModels } from './call-paths.ts';
import type { Kind } from './canaries.ts';
import { endKeys, keepMetadata, keepSecrets, sendBrokenBodies } from './kept-secrets.ts';
import { filesBelow, tablesAsText } from './sinks.ts';
import { startWorld, type World } from './world.ts';

let world: World;
let user: string;
let viewer: string;
let keys: Readonly<Record<string, string>>;
let paths = 0;
before(async () => {
  world = await startWorld();
  user = await world.newKey('key of somebody');
  await world.request('POST', '/user/new', { body: { user_id: 'looker', user_role: 'proxy_admin_viewer' } });
  viewer = await world.newKey('key of a viewer', { user_id: 'looker' });
  keys = await endKeys(world);
});
after(() => world[Symbol.asyncDispose]());

const none = (found: readonly string[], where: string) => assert.deepEqual([...found], [], where);

/** Everything that was answered with an error since the last time. */
function noneWasTold() {
  const told = world.told.splice(0);
  none(
    told.flatMap(({ where, text }) => world.canaries.find(text).map((each) => `${where}: ${each}`)),
    'in an error',
  );
}

test('no admin route tells in an error what was sent to it', async () => {
  paths += await tryAdminRoutes(world, { user, viewer });
  noneWasTold();
});

test('no change that goes wrong tells of the secret it was to keep', async () => {
  paths += await keepSecrets(world);
  paths += await sendBrokenBodies(world);
  noneWasTold();
});

test('no refusal tells of the credential, or of another header', async () => {
  await keepMetadata(world);
  paths += await bringCredentials(world, Object.values(keys));
  noneWasTold();
});

test('no call for a model tells of the credential of its provider, which repeats it', async () => {
  paths += await callModels(world, user);
  noneWasTold();
});

test('nothing of it is in the logs', () => {
  none(world.canaries.find(world.daemon.log.join('\n')), 'in the log');
  none(world.canaries.find(world.daemon.printed.join('')), 'on standard output');
});

/** Where metadata is kept as it was given. */
const holdMetadata = new Set(['keys', 'teams', 'deleted_keys', 'deleted_teams']);

test('nor in the database', async () => {
  for (const [table, text] of await tablesAsText(world.pool)) {
    const kinds: readonly Kind[] = holdMetadata.has(table) ? ['secret', 'content'] : ['secret', 'misplaced', 'content'];
    none(world.canaries.find(text, kinds), `in the table ${table}`);
  }
  for (const file of await filesBelow(world.clusterDir)) {
    none(world.canaries.find(await file.read(), ['secret', 'content']), file.path);
  }
});
