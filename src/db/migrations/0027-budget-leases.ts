import { Migration } from '@mikro-orm/migrations';
import { SCHEMA } from '../schema.ts';

/** What each daemon holds of each budget: money that it may admit calls against without asking. */
export class Migration0027BudgetLeases extends Migration {
  override up(): void {
    this.addSql(`set local search_path to ${SCHEMA}`);
    for (const statement of statements) this.addSql(statement);
  }
}

/** In whose rows the totals for good stand, and by which columns. A migration says it itself: it must never change. */
const holders = [
  ['keys', 'key', 'id'],
  ['teams', 'team', 'id'],
  ['users', 'user', 'id'],
  ['organizations', 'organization', 'id'],
  ['team_members', 'member', 'team_id', 'user_id'],
  ['organization_members', 'organization_member', 'organization_id', 'user_id'],
  ['customers', 'customer', 'id'],
  ['tags', 'tag', 'name'],
] as const;

const spentForGood = holders.map(([table, entity, ...columns]) => {
  const named = columns.map((column, index) =>
    columns.length === 1 ? `s.${column} = a.id` : `s.${column} = split_part(a.id, chr(31), ${index + 1})`,
  );
  return `select a.place, s.spend from asked a join ${table} s on ${named.join(' and ')}
           where a.entity = '${entity}' and a.duration = '' and a.model = ''`;
});

/**
 * Gives back and takes, for all budgets of one daemon at once.
 *
 * A function, because its statements each see what was committed before them: the locks are taken first, and what is
 * spent and held is read after that. In a single statement the sums would be those from before the wait for the lock,
 * and two daemons could take the same money. Booking needs no lock: it moves money from what is held to what is spent,
 * and a snapshot sees both or neither.
 *
 * A holder is alive for itself until \`expires_at\`, and dead for others only five seconds later: whatever it has
 * renewed in its last moment is committed by then.
 */
const exchange = `
create function exchange_leases(
  own_daemon text, life interval,
  entities text[], ids text[], models text[], durations text[], starts timestamptz[],
  maxima bigint[], needs bigint[], wants bigint[], gifts bigint[], recalls boolean[], idles boolean[]
) returns table (place bigint, budget bigint, spent bigint, granted bigint, own bigint, others bigint, silent bigint, generation bigint)
language plpgsql set search_path = ${SCHEMA} set lock_timeout = '2s' as $$
#variable_conflict use_column
declare
  is_alive boolean;
  present bigint;
  lock_key bigint;
begin
  select h.expires_at > clock_timestamp(), h.generation into is_alive, present
    from lease_holders h where h.daemon = own_daemon for update;
  if is_alive is not true then
    delete from budget_leases l where l.daemon = own_daemon;
    delete from lease_holders h where h.daemon in (
      select d.daemon from lease_holders d
       where d.expires_at < clock_timestamp() - interval '1 hour' and d.daemon <> own_daemon for update skip locked);
    present := nextval('lease_generations');
  end if;
  insert into lease_holders as h (daemon, generation, expires_at) values (own_daemon, present, clock_timestamp() + life)
  on conflict (daemon) do update set generation = excluded.generation, expires_at = excluded.expires_at;

  for lock_key in
    select distinct hashtextextended(concat_ws(chr(31), e, i, m, d), 27)
      from unnest(entities, ids, models, durations) as u (e, i, m, d) order by 1
  loop
    perform pg_advisory_xact_lock(lock_key);
  end loop;

  return query
  with asked as materialized (
    select *, hashtextextended(concat_ws(chr(31), a.entity, a.id, a.model, a.duration), 27) as budget
      from unnest(entities, ids, models, durations, starts, maxima, needs, wants, gifts, recalls, idles)
      with ordinality as a (entity, id, model, duration, started_at, most, need, wanted, gift, recalls, is_idle, place)
  ), totals as materialized (
    ${spentForGood.join(' union all ')}
    union all
    select a.place, b.spend from asked a join budget_windows b using (entity, id, model, duration, started_at)
     where a.duration <> '' or a.entity = 'gateway'
  ), held as materialized (
    select a.place,
           coalesce(sum(l.amount) filter (where l.daemon = own_daemon), 0)::bigint as own,
           coalesce(sum(l.amount) filter (where l.daemon <> own_daemon), 0)::bigint as others,
           coalesce(sum(l.amount) filter (
             where l.daemon <> own_daemon and h.expires_at < clock_timestamp() + life - interval '20 s'), 0)::bigint as silent,
           count(*) filter (where l.daemon <> own_daemon) as holders
      from asked a left join (budget_leases l join lease_holders h using (daemon))
        on (l.entity, l.id, l.model, l.duration, l.started_at) = (a.entity, a.id, a.model, a.duration, a.started_at)
       and (l.daemon = own_daemon or h.expires_at + interval '5 s' > clock_timestamp())
     group by a.place
  ), room as materialized (
    select a.*, coalesce(t.spend, 0) as spend, held.own - least(a.gift, held.own) as kept, least(a.gift, held.own) as gave,
           held.others, held.silent,
           a.most - coalesce(t.spend, 0) - held.others - held.own + least(a.gift, held.own) as free,
           greatest(0, a.most - coalesce(t.spend, 0)) / (held.holders + 1) as share
      from asked a join held using (place) left join totals t using (place)
  ), sized as materialized (
    select *, case when is_idle or free < greatest(need, 0) then 0::bigint
                   else least(free, greatest(wanted, share - kept, 0)) end as granted
      from room
  ), written as (
    insert into budget_leases as l (entity, id, model, duration, started_at, daemon, amount)
    select s.entity, s.id, s.model, s.duration, s.started_at, own_daemon, s.granted - s.gave from sized s where not s.is_idle
     order by s.entity, s.id, s.model, s.duration, s.started_at
    on conflict (entity, id, model, duration, started_at, daemon)
      do update set amount = greatest(0, l.amount + excluded.amount)
  ), dropped as (
    delete from budget_leases l using sized s
     where s.is_idle and l.daemon = own_daemon
       and (l.entity, l.id, l.model, l.duration, l.started_at) = (s.entity, s.id, s.model, s.duration, s.started_at)
  ), said as materialized (
    select pg_notify('gatewayctl_leases', format('wanted %s %s %s %s', s.budget, own_daemon, s.need - s.free,
             case when s.kept + s.need <= s.share then s.share else 0 end))
      from sized s where s.recalls and s.free < s.need and s.others > 0
    union all
    select pg_notify('gatewayctl_leases', format('returned %s %s', s.budget, own_daemon))
      from sized s where s.gave > 0 and not s.is_idle
  )
  select 0::bigint, null::bigint, null::bigint, null::bigint, null::bigint, null::bigint, null::bigint, present
   where (select count(*) from said) >= 0
  union all
  select s.place, s.budget, s.spend, s.granted, s.kept + s.granted, s.others, s.silent, present from sized s;
end $$`;

const statements = [
  'create sequence lease_generations',
  // Renewed as one: as long as its daemon lives, all of what it holds does. Whoever comes back too late begins anew.
  `create table lease_holders (
    daemon text primary key,
    generation bigint not null,
    expires_at timestamptz not null
  )`,
  `create table budget_leases (
    entity text not null,
    id text not null,
    model text not null,
    duration text not null,
    started_at timestamptz not null,
    daemon text not null references lease_holders (daemon) on delete cascade,
    amount bigint not null,
    primary key (entity, id, model, duration, started_at, daemon)
  )`,
  'create index budget_leases_daemon on budget_leases (daemon)',
  exchange,
];
