import { Migration } from '@mikro-orm/migrations';
import { SCHEMA } from '../schema.ts';

/**
 * The names and patterns of models whose budgets a call counts in. Its model does not tell: a budget may be of a pattern, or of what
 * the name that the client used stands for. Null is none.
 */
export class Migration0041BudgetModels extends Migration {
  override up(): void {
    this.addSql(`alter table ${SCHEMA}.spend_logs add column budget_models text[]`);
  }
}
