import type { z } from 'zod';
import { isCommandable } from './commandable.ts';
import type { LocalContext } from './local-command.ts';
import { operation } from '../kernel/operation.ts';
import { wire } from '../kernel/wire.ts';
import { choosePresentation } from './presentation.ts';
import { render } from './render.ts';

/** What a local command has to show: objects by a schema, in every format that the answer of an operation comes in. */
export interface LocalAnswer {
  /** The command, whose name errors say. */
  readonly path: readonly [string, string];
  /** An object, or a list of them. */
  readonly schema: z.ZodType<object, object>;
  readonly columns: readonly string[];
  readonly wide?: readonly string[];
}

/** @param value as `schema` takes it on this side */
export async function printAnswer(
  { path, schema, columns, wide = [] }: LocalAnswer,
  value: object,
  { io, ink, global }: LocalContext,
): Promise<void> {
  const shown = operation({
    command: path,
    route: ['GET', `/${path.join('/')}`],
    summary: '',
    input: wire({}),
    output: schema,
    access: 'scoped',
    cli: { columns: [...columns], wide: [...wide], examples: [] },
    run: () => Promise.reject(new Error('It is only shown')),
  });
  if (!isCommandable(shown)) throw new Error('It has columns');
  await render({
    operation: shown,
    presentation: choosePresentation(shown, global, io),
    answer: schema.encode(value),
    io,
    out: ink,
    baseUrl: undefined,
    extent: { isWhole: true, isChosen: false, input: {} },
  });
}
