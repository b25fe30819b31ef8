import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Command } from 'commander';
import { parameterOf, placeholderOf } from '../../src/cli/parameter.ts';
import { pathOf } from '../../src/cli/tree.ts';
import { wholeProgram } from '../support/documents.ts';

/** Every flag of every command, with what it takes. */
function* flagsOf(command: Command): Generator<readonly [flag: string, takes: string, command: string]> {
  for (const option of command.options) {
    const parameter = parameterOf(option);
    if (!parameter || option.negate) continue;
    const { shape, name } = parameter;
    // Which choices there are, and whether none is one of them, depends on the noun.
    const placeholder = shape.enum ? 'choice' : placeholderOf(parameter).replace(/\|none$/, '');
    const takes = [shape.type, shape.format, shape.items?.type, placeholder].join(' ');
    yield [`--${name}`, takes, pathOf(command).join(' ')];
  }
  for (const each of command.commands) yield* flagsOf(each);
}

describe('flags', () => {
  it('8: of one name take the same in every command', () => {
    const seen = new Map<string, Map<string, string[]>>();
    for (const [flag, takes, command] of flagsOf(wholeProgram())) {
      // What is limited there is money, and not how many rows are shown.
      if (flag === '--limit' && command === 'budget simulate') continue;
      // What is happening now is put together by one thing, and not by several.
      if (flag === '--by' && command === 'top') continue;
      // Where a call comes from is an address there, and not a file.
      if (flag === '--from' && command === 'explain') continue;
      const forms = seen.get(flag) ?? new Map<string, string[]>();
      seen.set(flag, forms.set(takes, [...(forms.get(takes) ?? []), command]));
    }
    const differing = [...seen].filter(([, forms]) => forms.size > 1);
    assert.deepEqual(
      differing.map(([flag, forms]) => [flag, Object.fromEntries(forms)]),
      [],
    );
  });
});
