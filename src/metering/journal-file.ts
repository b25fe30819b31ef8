import { randomUUID } from 'node:crypto';
import type { DatabaseSync } from 'node:sqlite';
import type { BudgetEntity, BudgetLimit } from '../access/principal.ts';
import { GatewayError } from '../kernel/errors.ts';
import type { Counted } from './counter.ts';
import type { OpenCall } from './journal.ts';
import { readWatched } from './watched-text.ts';

const version = 1;

/** `price` and `room` are given back when a row is completed, so that it does not grow out of its page: a third less CPU. */
export function createTables(db: DatabaseSync): void {
  const found = db.prepare('pragma user_version').get()?.['user_version'];
  if (found === version) return;
  if (found !== 0) {
    throw new GatewayError('config', 'journal_too_new', 'The spend journal was written by a newer gatewayctl', {
      hint: 'Start that version once, so that it books what is left, then this one.',
    });
  }
  db.exec(`begin;
    create table calls (
      seq integer primary key,
      settled integer not null,
      row text not null,
      price text not null,
      prompt_tokens integer not null,
      completion_tokens integer not null,
      room blob
    ) strict;
    create table set_aside (seq integer not null, row text not null, reason text not null) strict;
    pragma user_version = ${version};
    commit`);
}

/** Made once. Not part of the version: whoever knows nothing of it does no harm to it. */
export function daemonOf(db: DatabaseSync): string {
  db.exec('create table if not exists daemon (id text not null) strict');
  const known = db.prepare('select id from daemon').get()?.['id'];
  if (typeof known === 'string') return known;
  const id = randomUUID();
  db.prepare('insert into daemon values (?)').run(id);
  return id;
}

/** Completes the calls that were running when the last process died: all of them or none, so each is booked once. */
export function finishCut(db: DatabaseSync, finish: (call: OpenCall) => string): void {
  const open = db.prepare('select seq, price, prompt_tokens, completion_tokens from calls where settled = 0').all();
  if (open.length === 0) return;
  const complete = db.prepare(`update calls set settled = 1, row = row || ?, price = '', room = null where seq = ?`);
  db.exec('begin');
  for (const { seq, price, prompt_tokens: promptTokens, completion_tokens: completionTokens } of open) {
    const rest = finish({
      price: String(price),
      promptTokens: Number(promptTokens),
      completionTokens: Number(completionTokens),
    });
    complete.run(rest, Number(seq));
  }
  db.exec('commit');
}

const ofColumn = (entity: string): string =>
  `select '${entity}' as entity, row ->> '${entity}_id' as id, '' as model, '' as duration, 0 as start_ms,
          row ->> 'spend' as spend
     from calls where settled = 1 and row ->> '${entity}_id' is not null`;

const unflushedSql = `
  select entity, id, model, duration, start_ms, cast(sum(spend) as text) as amount from (
    ${['key', 'team', 'user'].map(ofColumn).join(' union all ')}
    union all
    select each.value ->> 'entity', each.value ->> 'id', each.value ->> 'model', each.value ->> 'duration',
           each.value ->> 'start_ms', row ->> 'spend'
      from calls, json_each(calls.row, '$.counted') as each where settled = 1
  ) group by 1, 2, 3, 4, 5`;

/** What is settled here and not yet in the database, by what it counts on. */
export const unflushedIn = (db: DatabaseSync): { readonly counted: Counted; readonly amount: bigint }[] =>
  db
    .prepare(unflushedSql)
    .all()
    .map(({ amount, ...counted }) => ({ counted: readCounted(counted), amount: BigInt(String(amount)) }));

function readCounted({ entity, id, model, duration, start_ms: startMs }: Record<string, unknown>): Counted {
  return {
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- rows are written by spend-row.ts and by nobody else
    entity: entity as BudgetEntity,
    id: String(id),
    model: String(model),
    duration: String(duration),
    startMs: Number(startMs),
  };
}

const budgetsSql = `
  select each.value as text from calls, json_each(calls.row, '$.watched') as each where settled = 1 group by 1`;

/** The budgets that the calls of `unflushedIn` were measured by, as far as their rows name them. */
export const budgetsIn = (db: DatabaseSync): { readonly counted: Counted; readonly limit: BudgetLimit }[] =>
  db.prepare(budgetsSql).all().map(readWatched);
