import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SlidingCount, slotAt } from '../../src/metering/sliding-count.ts';

test('a limit per minute is never passed in any 60 seconds, and what it says to wait is enough', () => {
  for (let round = 0; round < 200; round++) {
    const count = new SlidingCount();
    const limit = 1 + Math.floor(Math.random() * 5);
    const taken: number[] = [];
    let now = 1_700_000_000_000 + Math.floor(Math.random() * 60_000);
    for (let step = 0; step < 200; step++) {
      now += Math.floor(Math.random() ** 3 * 30_000);
      if (count.total(slotAt(now)) + 1 > limit) {
        const wait = count.waitFor(limit - 1, now);
        assert.ok(wait > 0 && wait <= 65_000, String(wait));
        if (Math.random() < 0.5) continue;
        now += wait;
        assert.ok(count.total(slotAt(now)) + 1 <= limit, 'there is room after the wait');
      }
      count.add(slotAt(now), 1);
      taken.push(now);
      const lately = taken.filter((at) => at > now - 60_000).length;
      assert.ok(lately <= limit, `${lately} within a minute, of ${limit}`);
    }
  }
});

test('what is corrected counts at the time it was taken, and no longer than that', () => {
  const count = new SlidingCount();
  count.add(1_000, 100);
  count.total(1_010);
  count.add(1_000, -60);
  assert.equal(count.total(1_012), 40);
  assert.equal(count.total(1_013), 0);
  count.add(1_000, 500);
  assert.equal(count.total(1_013), 0);
});
