import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isReading } from '../../src/kernel/operation.ts';
import { letsRoute, routeGroupNames } from '../../src/kernel/route-groups.ts';
import { operations } from '../../src/operations.ts';

const routes = operations.flatMap((operation) => {
  const { route, alsoAt = [], command } = operation;
  const isRead = isReading(operation);
  return [route].concat(alsoAt).map(([, path]) => ({ path, command: command.join(' '), isRead }));
});
const groupsOf = (path: string): string[] => routeGroupNames.filter((group) => letsRoute([group], path));
const pathsIn = (group: string): string[] => routes.map(({ path }) => path).filter((path) => letsRoute([group], path));

test('every route of an operation is in a group, so that a key can be held to it', () => {
  assert.deepEqual(
    routes.filter(({ path }) => groupsOf(path).length === 0),
    [],
  );
});

test('all routes of one operation are in the same groups: a key cannot go round by another spelling', () => {
  const differing = operations.filter(({ route, alsoAt = [] }) => {
    const kinds = [route].concat(alsoAt).map(([, path]) => groupsOf(path).toString());
    return new Set(kinds).size > 1;
  });
  assert.deepEqual(
    differing.map(({ route }) => route),
    [],
  );
});

test('a key that may only read finds nothing in its group that changes anything, and none that calls models administers', () => {
  assert.deepEqual(
    routes.filter(({ path, isRead }) => !isRead && letsRoute(['info_routes'], path)),
    [],
  );
  assert.deepEqual(pathsIn('llm_api_routes'), []);
});

test('what tells of spending is in the group of spending', () => {
  const spending = routes
    .map(({ path }) => path)
    .filter((path) => /\/daily\/activity|^\/spend\/|^\/tag\/summary/.test(path));
  assert.deepEqual(pathsIn('spend_tracking_routes'), spending);
});
