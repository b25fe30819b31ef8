import { z } from 'zod';
import { operation } from '../kernel/operation.ts';
import { answer, wire } from '../kernel/wire.ts';
import type { CallbackReport } from './callback-settings.ts';

interface Needs {
  callbacks: () => readonly CallbackReport[];
}

const count = (what: string) => z.int().nullable().describe(`${what}; null where no daemon was asked`);

const destinationInfo = {
  name: z.string().describe('What is reported to'),
  queued: count('Calls that wait to be reported'),
  delivered: count('Calls that were reported since the daemon started'),
  deadLetters: count('Calls that could not be'),
};

export const listCallbacks = operation({
  command: ['callback', 'list'],
  aliases: ['ls', 'status'],
  route: ['GET', '/callbacks/list'],
  summary: 'Show where calls are reported, and how many arrived',
  description: 'Counts are those of the daemon that is asked.',
  input: wire({}),
  output: answer({
    success: z.array(z.string()).describe('Names of what is told of successes alone'),
    failure: z.array(z.string()).describe('Names of what is told of failures alone'),
    successAndFailure: z.array(z.string()).describe('Names of what is told of both'),
    destinations: z.array(answer(destinationInfo)).describe('Each of them, those of teams included'),
  }),
  access: 'admin',
  cli: {
    result: 'destinations',
    columns: ['name', 'queued', 'delivered', 'dead_letters'],
    headings: { dead_letters: 'DEAD-LETTERS' },
    id: 'name',
    examples: [['Of the daemon', 'gatewayctl callback list']],
  },
  run: async ({ callbacks }: Needs) => {
    const reports = callbacks();
    const told = (onSuccess: boolean, onFailure: boolean) =>
      reports
        .filter(({ setup }) => setup?.onSuccess === onSuccess && setup.onFailure === onFailure)
        .map(({ name }) => name);
    return {
      success: told(true, false),
      failure: told(false, true),
      successAndFailure: told(true, true),
      destinations: reports.map(({ name, counts }) => ({
        name,
        queued: counts?.queued ?? null,
        delivered: counts?.delivered ?? null,
        deadLetters: counts?.deadLetters ?? null,
      })),
    };
  },
});
