import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { exact, money, relative } from '../../src/cli/cell.ts';
import { now } from './support/widgets.ts';

describe('36: a cell', () => {
  for (const [seconds, text] of [
    [90 * 86_400 - 20, 'in 90 days'],
    [3 * 86_400 + 3_600, 'in 3 days'],
    [-7_200, '2 hours ago'],
    [45, 'in 45 seconds'],
    [200 * 86_400, 'in 7 months'],
    [800 * 86_400, 'in 2 years'],
    [-61, '1 minute ago'],
  ] as const) {
    it(`says ${text}`, () =>
      assert.equal(relative(new Date(now.getTime() + seconds * 1_000).toISOString(), now), text));
  }

  it('rounds money for people and never for programs', () => {
    assert.deepEqual([0, 1.2, 1234.567, 0.01, 0.00123, -2].map(money), [
      '$0.00',
      '$1.20',
      '$1,234.57',
      '$0.01',
      '$0.0012',
      '$-2.00',
    ]);
    assert.deepEqual([0.000000001, 1234.567891234, 1e-7].map(exact), ['0.000000001', '1234.567891234', '0.0000001']);
  });
});
