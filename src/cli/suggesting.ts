import { GatewayError } from '../kernel/errors.ts';
import type { Invoke } from '../kernel/operation.ts';
import { suggest } from '../kernel/suggest.ts';
import { memberAt, resultOf, rowsOf, shapeOf } from './answer.ts';
import { exact } from './cell.ts';
import { type Commandable, isCommandable } from './commandable.ts';
import { pageSize, parametersOf } from './parameters.ts';

/** The same, but the error about an object that is not there names the one that may have been meant. */
export function suggesting<Services>(
  invoke: Invoke<Services>,
  whole: () => Promise<readonly Commandable<Services>[]>,
): Invoke<Services> {
  return async (operation, input) => {
    try {
      return await invoke(operation, input);
    } catch (error) {
      if (!(error instanceof GatewayError) || error.kind !== 'notFound' || !isCommandable(operation)) throw error;
      const search = async () => nearest(error, { operation, operations: await whole(), invoke, input });
      const near = await search().catch(() => undefined);
      throw near === undefined ? error : withGuess(error, near);
    }
  };
}

interface Search<Services> {
  readonly operation: Commandable<Services>;
  readonly operations: readonly Commandable<Services>[];
  readonly invoke: Invoke<Services>;
  readonly input: Readonly<Record<string, unknown>>;
}

/** Looks only among the first page of names: a guess must not cost more than the mistake. */
async function nearest<Services>(
  { message }: GatewayError,
  { operation, operations, invoke, input }: Search<Services>,
): Promise<string | undefined> {
  const { args, flags } = parametersOf(operation);
  for (const { field, completes: noun } of [...args, ...flags]) {
    if (noun === undefined) continue;
    const word = [input[field]].flat().find((each) => typeof each === 'string' && message.includes(each));
    const list = operations.find(({ command }) => command.join(' ') === `${noun} list`);
    if (typeof word !== 'string' || !list || list.command.join(' ') === operation.command.join(' ')) continue;
    const { pages, fixed, id } = list.cli;
    const answer = await invoke(list, { ...(pages && { [pages.size]: pageSize }), ...fixed });
    const members = [id, shapeOf(list).columns[0]].filter((member) => member !== undefined);
    const names = rowsOf(list, resultOf(list, answer)).flatMap((row) =>
      members.map((each) => exact(memberAt(row, each))),
    );
    const near = suggest(word, names.filter(Boolean));
    if (near !== undefined) return near;
  }
  return undefined;
}

function withGuess(error: GatewayError, near: string): GatewayError {
  const { kind, type, message, param, hint, status, headers } = error;
  const guess = `${message.replace(/[.]$/, '')}. Did you mean ${near}?`;
  return new GatewayError(kind, type, guess, { param, hint, status, headers, cause: error });
}
