import assert from 'node:assert/strict';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { test } from 'node:test';
import type { GatewayError } from '../../src/kernel/errors.ts';
import { Journal, type JournalOptions } from '../../src/metering/journal.ts';
import { aDirectory } from './support.ts';

const draft = (id: number) => `{"request_id":"${id}","key_id":"k"`;
const rest = (spend: number) => `,"created_at":"2026-03-01T00:00:00.000Z","spend":${spend}}`;

async function aJournal(options: Partial<JournalOptions> = {}) {
  const path = options.path ?? join(await aDirectory(), 'spend.db');
  return {
    path,
    journal: Journal.open({
      path,
      finish: ({ promptTokens, completionTokens }) => rest(promptTokens + completionTokens),
      ...options,
    }),
  };
}

const rowsOf = (journal: Journal) =>
  JSON.parse(journal.batch(1_000_000)?.rows ?? '[]') as { request_id: string; spend: number }[];

test('a settled row is one JSON text made of its two halves', async () => {
  const { journal } = await aJournal();
  journal.settle(journal.start(draft(1), '', 0), rest(5));
  assert.deepEqual(rowsOf(journal), [
    { request_id: '1', key_id: 'k', created_at: '2026-03-01T00:00:00.000Z', spend: 5 },
  ]);
  journal.close();
});

test('a batch stays until it is forgotten, and what is settled meanwhile stays behind it', async () => {
  const { journal } = await aJournal();
  const running = journal.start(draft(1), '', 0);
  journal.settle(journal.start(draft(2), '', 0), rest(2));
  const batch = journal.batch(10);
  journal.settle(running, rest(1));
  journal.forget(batch!);
  assert.deepEqual([rowsOf(journal).map(({ request_id }) => request_id), journal.backlog], [['1'], 1]);
  journal.close();
});

test('calls left open are booked once at the next start, with what was delivered by the last checkpoint', async () => {
  const { journal, path } = await aJournal();
  journal.checkpoint(journal.start(draft(1), '', 100), 20);
  journal.settle(journal.start(draft(2), '', 100), rest(7));
  journal.close();

  for (let restart = 0; restart < 2; restart++) {
    const { journal: next } = await aJournal({ path });
    assert.deepEqual(
      rowsOf(next).map(({ request_id, spend }) => [request_id, spend]),
      [
        ['1', 120],
        ['2', 7],
      ],
    );
    assert.deepEqual(next.unflushed(), [
      { counted: { entity: 'key', id: 'k', model: '', duration: '', startMs: 0 }, amount: 127n },
    ]);
    next.close();
  }
});

test('a journal has one owner', async () => {
  const { journal, path } = await aJournal();
  await assert.rejects(
    aJournal({ path }),
    ({ kind, type }: GatewayError) => kind === 'config' && type === 'state_dir_in_use',
  );
  journal.close();
  (await aJournal({ path })).journal.close();
});

test('a file that is no journal is named and left alone', async () => {
  const path = join(await aDirectory(), 'nowhere', 'spend.db');
  await assert.rejects(
    aJournal({ path }),
    ({ type, message }: GatewayError) => type === 'journal_unusable' && message.includes(path),
  );
});

test('no call is admitted once so many rows wait for the database', async () => {
  const { journal } = await aJournal({ maxRows: 100 });
  for (let row = 0; row < 100; row++) journal.settle(journal.start(draft(row), '', 0), rest(1));
  assert.throws(
    () => journal.start(draft(100), '', 0),
    ({ status, type }: GatewayError) => status === 503 && type === 'ledger_unavailable',
  );
  journal.forget(journal.batch(10)!);
  journal.start(draft(100), '', 0);
  journal.close();
});

test('a full disk refuses calls, and loses none of those that run', async () => {
  // SQLite answers SQLITE_FULL for its own limit on pages exactly as for the disk's.
  const { journal, path } = await aJournal({ maxRows: 80 });
  for (let row = 0; row < 20; row++) journal.settle(journal.start(draft(1_000 + row), '', 0), rest(1));
  journal.write();
  const running: number[] = [];
  const big = 'x'.repeat(2_000);
  assert.throws(
    () => {
      for (;;) {
        running.push(journal.start(`{"request_id":"${running.length}","key_id":"k","big":"${big}"`, '', 1));
        journal.write();
      }
    },
    ({ type, message }: GatewayError) => type === 'ledger_unavailable' && /full/.test(message),
  );
  for (const seq of running) journal.settle(seq, `,"big2":"${big}"${rest(1)}`);
  assert.equal(journal.backlog, running.length + 20);

  const booked = new Set<string>();
  for (let batch = journal.batch(5); batch; batch = journal.batch(5)) {
    for (const { request_id } of JSON.parse(batch.rows) as { request_id: string }[]) booked.add(request_id);
    journal.forget(batch);
    try {
      journal.writeHeld();
    } catch {
      // Not yet room for all of them.
    }
  }
  assert.equal(booked.size, running.length + 20);
  assert.equal(journal.backlog, 0);
  journal.close();
  (await aJournal({ path })).journal.close();
});

test('calls of one turn share its end: on a full disk none of them is kept, and what was settled with them is', async () => {
  const told: boolean[] = [];
  const { journal, path } = await aJournal({ maxRows: 80, onSettled: (isKept) => told.push(isKept) });
  const before = journal.start(draft(1), '', 0);
  assert.equal(await journal.written, undefined);

  journal.settle(before, rest(1));
  const together = Array.from({ length: 3 }, (_, call) => journal.start(draft(10 + call), '', 1));
  const { written } = journal;
  const big = 'x'.repeat(600_000);
  assert.throws(() => journal.start(`{"request_id":"big","key_id":"k","big":"${big}"`, '', 1), {
    type: 'ledger_unavailable',
  });
  assert.match(String(await written), /full/);
  for (const call of together) journal.settle(call, rest(5));
  journal.write();
  assert.deepEqual(
    rowsOf(journal).map(({ request_id }) => request_id),
    ['1'],
  );
  assert.equal(journal.backlog, 1);
  assert.deepEqual(told, [true]);
  journal.close();
  // Nothing of the others is found by the next process either.
  const { journal: next } = await aJournal({ path });
  assert.equal(next.backlog, 1);
  next.close();
});

test('a row the database refuses is kept aside with the reason', async () => {
  const { journal, path } = await aJournal();
  journal.settle(journal.start(draft(1), '', 0), rest(5));
  journal.setAside(journal.batch(1)!, 'why');
  assert.equal(journal.backlog, 0);
  journal.close();
  using file = new DatabaseSync(path);
  assert.partialDeepStrictEqual(file.prepare('select reason, json(row) is not null as ok from set_aside').all(), [
    { reason: 'why', ok: 1 },
  ]);
});
