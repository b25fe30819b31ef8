import { readFile } from 'node:fs/promises';
import type { Completes } from '../../kernel/operation.ts';
import { memberAt, resultOf, rowsOf, shapeOf } from '../answer.ts';
import { exact } from '../cell.ts';
import type { LocalContext } from '../local-command.ts';
import { completesOf } from '../parameter.ts';
import { pageSize } from '../parameters.ts';
import { sourcesOf } from '../sources.ts';
import { chooseTarget } from '../target.ts';
import { shellOf } from './built-in.ts';

const files = { bash: 'gatewayctl.bash', zsh: '_gatewayctl', fish: 'gatewayctl.fish' } as const;

/** Prints what the package carries: the same text that a distribution installs. */
export async function printCompletion({ io, args }: LocalContext): Promise<void> {
  const file = files[shellOf(args[0])];
  io.out(await readFile(new URL(`../../../completions/${file}`, import.meta.url), 'utf8'));
}

/** Answers a TAB. Whatever goes wrong is silence: a message would land in the middle of what somebody is typing. */
export async function answerCompletion(context: LocalContext): Promise<void> {
  try {
    const { serveCompletion } = await import('../../docs/completion-reply.ts');
    const answer = await serveCompletion(context.program(), context.args, {
      describe: completesOf,
      names: (what, { given }) => namesOf(context, what, given),
    });
    context.io.out(answer);
  } catch {
    // See above.
  }
}

type Given = Readonly<Record<string, string | true>>;

/** Objects by the first column of their list, with what tells them apart beside it. */
async function namesOf(context: LocalContext, what: Exclude<Completes, 'file'>, given: Given) {
  const operation = context.operations.find(({ command }) => command.join(' ') === `${what} list`);
  if (!operation) return [];
  const text = (name: string) => (typeof given[name] === 'string' ? given[name] : undefined);
  const target = await chooseTarget(
    {
      ...context.global,
      server: text('server'),
      databaseUrl: text('database-url'),
      stateDir: text('state-dir'),
      adminKeyFile: text('admin-key-file'),
      keyFile: text('key-file'),
      direct: given['direct'] === true,
    },
    context.io.env,
    sourcesOf(context.io),
  );
  await using caller = await context.connect({ isPassive: true, target });
  const { pages, fixed } = operation.cli;
  const answer = await caller.call(operation.command.join(' '), { ...(pages && { [pages.size]: pageSize }), ...fixed });
  const rows = rowsOf(operation, resultOf(operation, answer));
  const [first = 'id', ...rest] = shapeOf(operation).columns;
  return rows.flatMap((row) => {
    const id = memberAt(row, operation.cli.id ?? first);
    const value = exact(memberAt(row, first)) || exact(id);
    const description = rest
      .map((column) => exact(memberAt(row, column)))
      .find((each) => each !== '' && each !== value);
    return value ? [{ value, description }] : [];
  });
}
