import assert from 'node:assert/strict';
import { test } from 'node:test';
import { renameResponse } from '../../src/proxy/endpoints/response-names.ts';
import { readResponseId, ResponseIds } from '../../src/proxy/response-ids.ts';
import { aPrincipal } from './gateway.ts';

const kept = { model: 'gpt-4o', deploymentId: 'deployment-1', upstreamId: 'resp_123' };
const owner = { ...aPrincipal, userId: 'ada', teamId: 'red' };

test('daemons with the same secret give a response one name, and each knows the other’s', () => {
  const id = new ResponseIds('shared').seal(kept, owner);
  assert.equal(new ResponseIds('shared').seal(kept, owner), id);
  assert.ok(new ResponseIds('shared').isOwn(id, owner));
  assert.deepEqual(readResponseId(id), kept);
});

test('a daemon whose secret is being changed knows names of before and after, and nobody else does', () => {
  const before = new ResponseIds('old').seal(kept, owner);
  assert.ok(new ResponseIds('new', ['old']).isOwn(before, owner));
  assert.ok(new ResponseIds('old', ['new']).isOwn(new ResponseIds('new').seal(kept, owner), owner));
  assert.equal(new ResponseIds('new').isOwn(before, owner), false);
});

test('a name is one owner’s: a user in a team, or a key where there is neither', () => {
  const ids = new ResponseIds('shared');
  const owners = [
    owner,
    { ...owner, userId: 'grace' },
    { ...owner, teamId: 'blue' },
    { ...owner, teamId: null },
    { ...owner, userId: null },
    aPrincipal,
    { ...aPrincipal, keyId: 'key-2' },
    { ...aPrincipal, kind: 'master' as const, keyId: 'master' },
    { ...aPrincipal, kind: 'jwt' as const, keyId: 'jwt', hash: 'b' },
    { ...aPrincipal, kind: 'jwt' as const, keyId: 'jwt', hash: 'c' },
  ];
  for (const one of owners) {
    const id = ids.seal(kept, one);
    const knowing = owners.filter((other) => ids.isOwn(id, other));
    assert.deepEqual(knowing, [one]);
  }
  assert.ok(ids.isOwn(ids.seal(kept, owner), { ...owner, keyId: 'key-2', hash: 'd' }), 'of whichever key');
});

test('a name with any character changed, added or taken away is nobody’s', () => {
  const ids = new ResponseIds('shared');
  const id = ids.seal(kept, owner);
  for (let at = 0; at < id.length; at++) {
    const other = id[at] === 'A' ? 'B' : 'A';
    assert.equal(ids.isOwn(id.slice(0, at) + other + id.slice(at + 1), owner), false, `changed at ${at}`);
    assert.equal(ids.isOwn(id.slice(0, at), owner), false, `cut at ${at}`);
  }
  for (const added of ['A', '=', ' ', '\n', '.', '\0']) assert.equal(ids.isOwn(id + added, owner), false);
  for (const odd of ['', 'resp_', 'resp_123', `resp_${'A'.repeat(5_000)}`, id.slice(5)]) {
    assert.equal(ids.isOwn(odd, owner), false, odd.slice(0, 20));
    assert.equal(readResponseId(odd), undefined, odd.slice(0, 20));
  }
});

test('the response in an event is renamed, and none that is hidden deeper, however deep that is', () => {
  const nested = (depth: number) =>
    Buffer.from(`${'{"response":'.repeat(depth)}{"object":"response","id":"x"}${'}'.repeat(depth)}`);
  const rename = (depth: number) => renameResponse(nested(depth), () => 'ours').toString();
  assert.equal(rename(1), '{"response":{"object":"response","id":"ours"}}');
  const used = process.cpuUsage();
  assert.equal(rename(50_000), nested(50_000).toString());
  assert.ok(process.cpuUsage(used).user < 2_000_000);
});
