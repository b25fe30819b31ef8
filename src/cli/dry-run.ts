import { z } from 'zod';
import { type DryRunAnswer, dryRunAnswer } from '../kernel/change-options.ts';
import { isSameValue } from '../kernel/existing.ts';
import { isRow, type Row } from './answer.ts';
import { exact } from './cell.ts';
import type { Commandable } from './commandable.ts';
import type { GlobalFlags } from './globals.ts';
import { count } from './nouns.ts';

/** The formats that show the answer as it travels; the others have a line for each change. */
const isWhole = ({ output, fields }: Pick<GlobalFlags, 'output' | 'fields'>): boolean =>
  output === 'json' || output === 'yaml' || (output === undefined && fields !== undefined);

const change = dryRunAnswer.shape.changes.element.extend({ change: z.string() });
const lines = z.object({ ...dryRunAnswer.shape, changes: z.array(change) });

/** The same command, answered with what it would do. */
export function asDryRun<Services>(operation: Commandable<Services>, flags: GlobalFlags): Commandable<Services> {
  return {
    ...operation,
    output: isWhole(flags) ? dryRunAnswer : lines,
    cli: {
      ...(isWhole(flags) ? {} : { result: 'changes' }),
      columns: ['action', 'object_type', 'object_id', 'change'],
      headings: { object_type: 'TYPE', object_id: 'ID' },
      id: 'object_id',
      examples: operation.cli.examples,
    },
  };
}

/** The answer as it is printed, and the sentence beside it. */
export function rehearsed(answer: unknown, flags: GlobalFlags): { readonly shown: Row; readonly sentence: string } {
  const dryRun = dryRunAnswer.parse(answer);
  const changes = dryRun.changes.map((each) => ({ ...each, change: inWords(each) }));
  return { shown: isWhole(flags) ? dryRun : { ...dryRun, changes }, sentence: `Nothing was changed.${radius(dryRun)}` };
}

function radius({ counts }: DryRunAnswer): string {
  if (counts.length === 0) return ' There is nothing to change.';
  const each = counts.map(
    ({ action, object_type: type, count: amount }) => `${amount} ${count(amount, type.split('_'))} ${action}`,
  );
  return ` It would be: ${each.join(', ')}.`;
}

/** Who and when differ with every change, and say nothing of it. */
const stamps: ReadonlySet<string> = new Set(['created_at', 'created_by', 'updated_at', 'updated_by']);

const isEmpty = (value: unknown): boolean =>
  ['', 0, false, null, undefined].some((empty) => value === empty) ||
  (typeof value === 'object' && value !== null && Object.keys(value).length === 0);

/** `max_budget: 25 -> 50`; of an object that comes or goes, what there is to it. */
function inWords({ before, after }: DryRunAnswer['changes'][number]): string {
  const was = isRow(before) ? before : {};
  const becomes = isRow(after) ? after : {};
  const names = [...new Set([...Object.keys(was), ...Object.keys(becomes)])].filter((name) => !stamps.has(name));
  if (isRow(before) && isRow(after)) {
    return names
      .filter((name) => !isSameValue(was[name], becomes[name]))
      .map((name) => `${name}: ${exact(was[name]) || 'none'} -> ${exact(becomes[name]) || 'none'}`)
      .join(', ');
  }
  const whole = isRow(before) ? was : becomes;
  return names
    .filter((name) => !isEmpty(whole[name]))
    .map((name) => `${name}: ${exact(whole[name])}`)
    .join(', ');
}
