import { Migration } from '@mikro-orm/migrations';
import { SCHEMA } from '../schema.ts';

/** Models of one team, and credentials that several models share. */
export class Migration0005Models extends Migration {
  override up(): void {
    this.addSql(`set local search_path to ${SCHEMA}`);
    for (const statement of statements) this.addSql(statement);
  }
}

const statements = [
  // Each value is sealed by itself; nothing was ever written into the column that this one replaces.
  `alter table credentials alter column credential_values type jsonb using credential_values::jsonb`,
  // With its team a model goes too, whoever deletes the team: a new team with the old id must not find it.
  `alter table models
    add column team_id text references teams on delete cascade,
    add column credential_name text references credentials (name)`,
  'create index models_team on models (team_id) where team_id is not null',
  'create index models_credential on models (credential_name) where credential_name is not null',
];
