import { Migration } from '@mikro-orm/migrations';
import { SCHEMA } from '../schema.ts';

/** What lists of teams and of their members go by. Spend has no index: every booked call would have to move in it. */
export class Migration0007Teams extends Migration {
  override up(): void {
    this.addSql(`set local search_path to ${SCHEMA}`);
    // A team may have as many members as there are users; only the first ones are shown.
    this.addSql('create index team_members_joined on team_members (team_id, created_at, user_id)');
    this.addSql('create index teams_organization_created on teams (organization_id, created_at desc, id)');
  }
}
