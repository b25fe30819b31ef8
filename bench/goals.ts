import Table from 'cli-table3';
import type { PartReport } from './fault-parts.ts';

/** What the parts of a benchmark have found, and whether it is as it should be. */
export class Goals {
  readonly #table = new Table({ head: ['', 'measured', 'goal', ''], style: { head: [], border: [] } });
  #failed = 0;

  add({ title, lines }: PartReport): void {
    this.#table.push([{ colSpan: 4, content: title }]);
    for (const { what, measured, goal, holds } of lines) {
      if (holds === false) this.#failed++;
      this.#table.push([what, measured, goal ?? '', holds === undefined ? '' : holds ? 'holds' : 'FAILS']);
    }
  }

  /** Runs the parts, prints what they have found, also where one of them fails, and ends with 1 when a goal does. */
  async after(run: () => Promise<void>): Promise<void> {
    try {
      await run();
    } finally {
      process.stdout.write(`${this.#table.toString()}\n`);
    }
    process.stdout.write(`${this.#failed === 0 ? 'All goals hold' : `${this.#failed} goals fail`}.\n`);
    process.exitCode = this.#failed === 0 ? 0 : 1;
  }
}
