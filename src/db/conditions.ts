import type { Matching } from './count.ts';
import { SCHEMA } from './schema.ts';

export type Alternative = readonly [sql: string, value: unknown];

/** Parts of a condition, each with its values: none is ever put together from what a caller sent. */
export class Conditions {
  readonly #parts: string[] = [];
  readonly #values: unknown[] = [];
  #alternatives: readonly Alternative[] = [];

  and(sql: string, ...values: readonly unknown[]): void {
    this.#parts.push(sql);
    this.#values.push(...values);
  }

  /** Any of these, beside all others. Once in a list. */
  either(...alternatives: readonly Alternative[]): void {
    this.#alternatives = alternatives;
  }

  get where(): string {
    const either = this.#alternatives.map(([sql]) => sql).join(' or ');
    return whereAll(either === '' ? this.#parts : [...this.#parts, `(${either})`]);
  }

  get values(): unknown[] {
    return [...this.#values, ...this.#alternatives.map(([, value]) => value)];
  }

  /** One alternative after the other: of an `or` PostgreSQL reads every index to its end before it counts a row. */
  countedIn(table: string): Matching {
    const from = `select 1 from ${SCHEMA}.${table} k`;
    const rows = this.#alternatives.map(([sql], index) => {
      const before = this.#alternatives.slice(0, index).map(([other]) => `(${other}) is not true`);
      return `${from} ${whereAll([...this.#parts, sql, ...before])}`;
    });
    const values = this.#alternatives.map(([, value], index) => {
      const before = this.#alternatives.slice(0, index).map(([, other]) => other);
      return [...this.#values, value, ...before];
    });
    if (rows.length === 0) return { rows: `${from} ${this.where}`, values: this.values };
    return { rows: rows.join(' union all '), values: values.flat() };
  }
}

const whereAll = (parts: readonly string[]): string => (parts.length === 0 ? '' : `where ${parts.join(' and ')}`);
