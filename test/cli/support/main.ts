import { ioFromProcess } from '../../../src/cli/io.ts';
import { run } from '../../../src/cli/run.ts';
import type { Invoke } from '../../../src/kernel/operation.ts';
import { operations, rows, widgetGateway } from './widgets.ts';

/** A whole process with a gateway in memory, for tests that need real streams and a real terminal. */
const count = Number(process.env['WIDGETS'] ?? rows.length);
const gateway = widgetGateway(Array.from({ length: count }, (_, index) => ({ ...rows[0], id: `id-${index}` })));

const invoke: Invoke<never> = async (operation, input) => {
  process.stderr.write(`asked ${operation.command.join(' ')} ${JSON.stringify(input)}\n`);
  return gateway.invoke(operation, input);
};

process.exitCode = await run(process.argv.slice(2), ioFromProcess(process), {
  operations,
  commands: [],
  connect: () => Promise.resolve({ describe: 'memory', invoke, [Symbol.asyncDispose]: () => Promise.resolve() }),
});
