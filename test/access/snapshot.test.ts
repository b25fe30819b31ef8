import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Principal, unlimited } from '../../src/access/principal.ts';
import { createSnapshotCodec } from '../../src/access/snapshot.ts';

test('a snapshot comes out of the shared cache as it went in, with every limit there is', () => {
  const hash = 'a'.repeat(64);
  const holder = { entity: 'member', id: 'team\u001fuser', label: 'user in Team=team' } as const;
  const principal: Principal = {
    ...unlimited,
    kind: 'key',
    keyId: 'key-1',
    hash,
    alias: 'one',
    userId: 'user',
    teamId: 'team',
    organizationId: 'org',
    role: 'internal_user',
    teamAlias: 'a team',
    userBlocked: true,
    models: ['gpt-*'],
    userModels: ['a'],
    organizationModels: ['b'],
    aliases: { fast: 'gpt-4o-mini' },
    teamAliases: { slow: 'gpt-4o' },
    allowedRoutes: ['llm_api_routes'],
    passedPaths: ['/openai'],
    teamPassedPaths: ['/openai', '/search'],
    enforcedParams: ['user'],
    tags: ['x'],
    sharedBudgets: ['b1'],
    budgets: [
      { ...holder, max: null },
      { ...holder, max: 9_007_199_254_740_993n, soft: 1n, duration: '30d' },
    ],
    modelBudgets: [{ ...holder, max: 0n, model: 'gpt-4o', duration: '1d' }],
    rates: [{ ...holder, requests: 1, tokens: null, parallel: 0 }],
    modelRates: [{ ...holder, model: 'gpt-*', requests: null, tokens: 5, parallel: null }],
  };
  const codec = createSnapshotCodec('a secret');
  const snapshot = { principal, readAt: 1 };
  assert.deepEqual(codec.decode(hash, codec.encode(hash, snapshot)), snapshot);
});
