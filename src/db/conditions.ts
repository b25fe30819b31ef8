/** Parts of a condition, each with its values: none is ever put together from what a caller sent. */
export class Conditions {
  readonly #parts: string[] = [];
  readonly values: unknown[] = [];

  and(sql: string, ...values: readonly unknown[]): void {
    this.#parts.push(sql);
    this.values.push(...values);
  }

  get where(): string {
    return this.#parts.length === 0 ? '' : `where ${this.#parts.join(' and ')}`;
  }
}
