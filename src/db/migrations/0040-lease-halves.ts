import { Migration } from '@mikro-orm/migrations';
import { SCHEMA } from '../schema.ts';

const takesAll = 'least(free, greatest(wanted, share - kept, 0))';
const takesHalf = `least(free, greatest(wanted, least(share - kept, case when exists (
                     select from lease_holders o where o.daemon <> own_daemon and o.expires_at > clock_timestamp()
                   ) then free / 2 else free end), 0))`;

const silentAfter = (seconds: number): string => `h.expires_at < clock_timestamp() + life - interval '${seconds} s'`;

const changes = [
  [takesAll, takesHalf],
  [silentAfter(20), silentAfter(1)],
] as const;

/**
 * Where there are others, a daemon takes half of what is free at most, unless its calls need more, so that the next one
 * finds something. The first took all, and the second had to call it back: where that took longer than a tenth of a
 * second its calls were refused, with nearly all of the budget left.
 *
 * And whoever does not answer when a part is called back is silent after a second, because all others answer now: for
 * twenty seconds what a killed daemon held was taken for used up.
 */
export class Migration0040LeaseHalves extends Migration {
  override up(): void {
    const known = `(select pg_get_functiondef(oid) from pg_proc
      where proname = 'exchange_leases' and pronamespace = '${SCHEMA}'::regnamespace)`;
    for (const [before, after] of changes) {
      this.addSql(`do $migration$ begin
        if position($$${before}$$ in ${known}) = 0 then raise exception 'exchange_leases is not what 0027 made'; end if;
        execute replace(${known}, $$${before}$$, $$${after}$$);
      end $migration$`);
    }
  }
}
