import { Migration } from '@mikro-orm/migrations';
import { SCHEMA } from '../schema.ts';

const before = 'least(free, greatest(wanted, share - kept, 0))';
const after = `least(free, greatest(wanted, least(share - kept, case when exists (
                     select from lease_holders o where o.daemon <> own_daemon and o.expires_at > clock_timestamp()
                   ) then free / 2 else free end), 0))`;

/**
 * Where there are others, a daemon takes half of what is free at most, unless its calls need more, so that the next one
 * finds something. The first took all, and the second had to call it back: where that took longer than a tenth of a
 * second its calls were refused, with nearly all of the budget left.
 */
export class Migration0040LeaseHalves extends Migration {
  override up(): void {
    this.addSql(`do $migration$
      declare
        known text := pg_get_functiondef((select oid from pg_proc
          where proname = 'exchange_leases' and pronamespace = '${SCHEMA}'::regnamespace));
      begin
        if position('${before}' in known) = 0 then
          raise exception 'exchange_leases is not what 0027 made';
        end if;
        execute replace(known, '${before}', '${after}');
      end $migration$`);
  }
}
