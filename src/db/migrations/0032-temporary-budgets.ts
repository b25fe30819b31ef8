import { Migration } from '@mikro-orm/migrations';
import { SCHEMA } from '../schema.ts';

/** What is added to the budget of a key until a moment. Both or neither: an increase without an end is a larger budget. */
export class Migration0032TemporaryBudgets extends Migration {
  override up(): void {
    this.addSql(
      `alter table ${SCHEMA}.keys add column temp_budget_increase bigint, add column temp_budget_expiry timestamptz,
         add constraint keys_temp_budget check ((temp_budget_increase is null) = (temp_budget_expiry is null))`,
    );
  }
}
