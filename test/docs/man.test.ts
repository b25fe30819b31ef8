import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { describe, test } from 'node:test';
import { sourceDate } from '../../src/docs/documents.ts';
import { type Manual, manPages } from '../../src/docs/man.ts';
import { sampleProgram } from './sample.ts';

const awkward = String.raw`.hidden 'quoted' back\slash ~user ^caret "double" – dash --flag`;

const manual: Manual = {
  version: '1.2.3',
  date: '2026-11-23',
  topics: [
    {
      name: 'exit-codes',
      summary: 'What exit statuses mean',
      body: [
        'First.',
        [
          ['-1', 'none'],
          ['.x', awkward],
        ],
        `Last.\n\n  if x; then\n    .y\n  fi\n\n${awkward}`,
      ],
    },
    { name: 'units', summary: 'How lengths of time are written', body: [[['1d', 'a day']]] },
  ],
  exits: [
    ['0', 'done'],
    ['1', 'declined'],
    ['10', 'failed'],
  ],
  commands: (command) => command.commands.filter((each) => !each.name().startsWith('__')),
  about: (command) => ({
    examples:
      command.name() === 'generate' ? [[awkward, "gatewayctl key generate --alias 'a b' # ~ ^ `x`"] as const] : [],
    exits: command.name() === 'completion' ? [[1, 'The shell is none of these']] : [],
    group: command.name() === 'key' ? 'Access' : 'This tool',
  }),
  notes: (target) => (target.name() === 'team' ? ['env: TEAM'] : []),
};

const pages = manPages(sampleProgram(), manual);
const generate = pages.get('gatewayctl-key-generate.1') ?? '';

describe('the manual', () => {
  test('has a page for each shown command and each topic', () => {
    assert.deepEqual([...pages.keys()].toSorted(), [
      'gatewayctl-completion.1',
      'gatewayctl-exit-codes.7',
      'gatewayctl-help.1',
      'gatewayctl-key-delete.1',
      'gatewayctl-key-generate.1',
      'gatewayctl-key-get.1',
      'gatewayctl-key.1',
      'gatewayctl-units.7',
      'gatewayctl.1',
    ]);
  });

  test('has its sections in order, examples before options', () => {
    const sections = generate.match(/(?<=^\.SH ).*/gm);
    const all = ['NAME', 'SYNOPSIS', 'DESCRIPTION', 'EXAMPLES', 'OPTIONS', 'EXIT STATUS', 'SEE ALSO'];
    assert.deepEqual(sections, all);
  });

  test("lists a command's own flags and refers to gatewayctl(1) for the rest", () => {
    assert.match(generate, /^\\fB\\-f\\fR, \\fB\\-\\-file\\fR \\fIpath\\fR$/m);
    assert.match(generate, /^the team it belongs to \(env: TEAM\)$/m);
    assert.doesNotMatch(generate, /output/);
    assert.match(generate, /described in \\%\\fBgatewayctl\\fR\(1\)/);
    assert.match(pages.get('gatewayctl.1') ?? '', /^\\fB\\-o\\fR, \\fB\\-\\-output\\fR \\fIformat\\fR$/m);
  });

  test('hides what help hides', () => {
    for (const page of pages.values()) assert.doesNotMatch(page, /insecure|__complete/);
  });

  test("puts a command's own meaning of an exit status in place of the common one", () => {
    const own = pages.get('gatewayctl-completion.1') ?? '';
    assert.match(own, /\\fB1\\fR\nThe shell is none of these\n/);
    assert.doesNotMatch(own, /declined/);
  });

  test('groups the commands of the program under their headings', () => {
    assert.match(pages.get('gatewayctl.1') ?? '', /\.SS Access\n\.TP\n\\%\\fBgatewayctl\\-key\\fR\(1\)\nVirtual keys/);
  });

  test('is the same whenever it is made', () => {
    assert.match(generate, /^\.TH GATEWAYCTL\\-KEY\\-GENERATE 1 2026-11-23 "gatewayctl 1\.2\.3"/m);
    assert.deepEqual(manPages(sampleProgram(), manual), pages);
  });

  test('holds nothing but ASCII, and no text that roff takes for a request', () => {
    for (const [file, page] of pages) {
      assert.doesNotMatch(page, /[^\n -~]/, file);
      const requests = page.match(/^[.'].*/gm) ?? [];
      for (const line of requests) assert.match(line, /^\.(\\"|TH|SH|SS|TP|PP|RS|RE|EX|EE|sp|ad)/, `${file}: ${line}`);
    }
  });
});

const groff = (...argv: string[]) =>
  spawnSync('groff', ['-ww', '-man', '-Tutf8', ...argv], { input: [...pages.values()].join(''), encoding: 'utf8' });
const skip = groff('-z').error ? 'groff is not installed' : false;

describe('rendered by groff', { skip }, () => {
  test('the pages draw no warning', () => {
    const { stderr, status } = groff('-z');
    assert.deepEqual([stderr, status], ['', 0]);
  });

  test('awkward text arrives as it is, so that an example can be pasted', () => {
    const { stdout } = groff('-P-cbou');
    const shown = stdout.replace(/\s+/g, ' ');
    assert.ok(shown.includes(awkward), shown);
    assert.ok(stdout.includes("gatewayctl key generate --alias 'a b' # ~ ^ `x`"));
    assert.match(stdout, /\n +if x; then\n +\.y\n +fi\n/);
  });
});

describe('what the manual is made of', () => {
  test('the day of a reproducible build is the day it is told', () => {
    assert.equal(sourceDate('0', '2026-11-23'), '1970-01-01');
    assert.equal(sourceDate(undefined, '2026-11-23'), '2026-11-23');
    assert.equal(sourceDate('', '2026-11-23'), '2026-11-23');
    assert.throws(() => sourceDate('tomorrow', '2026-11-23'), RangeError);
  });
});
