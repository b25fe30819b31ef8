import { Migration } from '@mikro-orm/migrations';
import { SCHEMA } from '../schema.ts';

/** What all daemons together have used of each limit in the last minute, and what each of them has taken in advance. */
export class Migration0031RateWindows extends Migration {
  override up(): void {
    this.addSql(`set local search_path to ${SCHEMA}`);
    for (const statement of statements) this.addSql(statement);
  }
}

/**
 * Reports what one daemon has used, gives back and takes, for all its limits at once. `src/metering/rate-script.ts` does
 * the same in Redis: the two change together.
 *
 * A use counts from the second it fell into until 61 seconds after that second began, so for a minute at least. What a
 * daemon holds counts until it says what it has used of it; what a daemon held that is not heard of any more counts as
 * used now, because it may have been used in its last moment. Of calls at once nothing is left of a daemon that is gone.
 *
 * The rows are locked in the order of their names, and the clock is read after the lock.
 */
const exchange = `
create function exchange_rates(own_daemon text, own_epoch text, life_ms bigint, items jsonb)
returns table (place bigint, generation bigint, stranger boolean, own bigint, room bigint, others bigint, wait_ms bigint, clock_ms bigint)
language plpgsql set search_path = ${SCHEMA} set lock_timeout = '1s' set synchronous_commit = off as $$
#variable_conflict use_column
declare
  item record;
  present rate_windows;
  now_ms bigint;
  kept jsonb;
  counted jsonb;
  dead bigint; held bigint; elsewhere bigint; daemons bigint; used bigint; reported bigint; left_over bigint;
  lack bigint; granted bigint; waits bigint;
begin
  for item in
    select t.place, i->>'name' as name, (i->>'most')::bigint as most, (i->>'window')::boolean as is_window,
           (i->>'generation')::bigint as generation, i->'uses' as uses, (i->>'gift')::bigint as gift,
           (i->>'inUse')::bigint as in_use, (i->>'need')::bigint as need, (i->>'want')::bigint as want, (i->>'target')::bigint as target
      from jsonb_array_elements(items) with ordinality as t (i, place) order by 2
  loop
    insert into rate_windows (name, generation) values (item.name, nextval('rate_generations')) on conflict do nothing;
    select * into present from rate_windows w where w.name = item.name for update;
    now_ms := extract(epoch from clock_timestamp()) * 1000;
    if item.generation <> present.generation then
      place := item.place; generation := present.generation; stranger := true;
      own := 0; room := 0; others := 0; wait_ms := 0; clock_ms := now_ms;
      return next;
      continue;
    end if;

    select coalesce(sum(h.amount) filter (where h.is_dead), 0),
           coalesce(sum(h.amount) filter (where not h.is_dead and h.daemon = own_daemon), 0),
           coalesce(sum(h.amount) filter (where not h.is_dead and h.daemon <> own_daemon), 0),
           count(*) filter (where not h.is_dead and h.daemon <> own_daemon) + 1,
           coalesce(jsonb_object_agg(h.daemon, h.value) filter (where not h.is_dead and h.daemon <> own_daemon), '{}')
      into dead, held, elsewhere, daemons, kept
      from (select key as daemon, value, (value->>0)::bigint as amount,
                   (value->>1)::bigint <= now_ms or (key = own_daemon and value->>2 <> own_epoch) as is_dead
              from jsonb_each(present.holders)) h;

    select coalesce(jsonb_object_agg(s.second, s.amount), '{}'), coalesce(sum(s.amount), 0) into counted, used
      from (select u.second, sum(u.amount) as amount
              from (select key::bigint as second, (value #>> '{}')::bigint as amount from jsonb_each(present.uses)
                    union all select least((r->>0)::bigint, now_ms / 1000 + 1), (r->>1)::bigint from jsonb_array_elements(item.uses) r
                    union all select now_ms / 1000, dead where item.is_window and dead > 0) u
             where u.second > now_ms / 1000 - 61 group by u.second having sum(u.amount) > 0) s;

    select coalesce(sum(greatest(0, (r->>1)::bigint)), 0) into reported from jsonb_array_elements(item.uses) r;
    held := greatest(item.in_use, held - reported - item.gift, 0);
    left_over := item.most - used - elsewhere - held;
    if left_over < 0 then
      held := held - least(held - item.in_use, -left_over);
      left_over := item.most - used - elsewhere - held;
    end if;
    lack := greatest(0, item.need - held + item.in_use);
    granted := 0;
    if left_over > 0 and left_over >= lack then
      granted := least(left_over, greatest(0, item.want - held + item.in_use,
        least(item.target - held + item.in_use, left_over / (2 * daemons))));
    end if;
    waits := 0;
    if lack > granted and item.is_window then
      select min((g.second + 61) * 1000 - now_ms) into waits
        from (select key::bigint as second, sum((value #>> '{}')::bigint) over (order by key::bigint) as gone from jsonb_each(counted)) g
       where left_over + g.gone >= lack;
    end if;
    held := held + granted;
    if held > 0 then
      kept := kept || jsonb_build_object(own_daemon, jsonb_build_array(held, now_ms + life_ms, own_epoch));
    end if;
    update rate_windows w set uses = counted, holders = kept, touched_at = clock_timestamp() where w.name = item.name;
    place := item.place; generation := present.generation; stranger := false;
    own := held; room := left_over - granted; others := elsewhere; wait_ms := coalesce(waits, 61000); clock_ms := now_ms;
    return next;
  end loop;
end $$`;

const statements = [
  'create sequence rate_generations',
  // Unlogged: after a crash of the server it is empty, which a daemon sees by the generation, and reports its last minute anew.
  `create unlogged table rate_windows (
    name text primary key,
    generation bigint not null,
    uses jsonb not null default '{}',
    holders jsonb not null default '{}',
    touched_at timestamptz not null default clock_timestamp()
  ) with (fillfactor = 50)`,
  exchange,
];
