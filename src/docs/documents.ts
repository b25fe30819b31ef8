import type { Command } from 'commander';
import type { AnyOperation } from '../kernel/operation.ts';
import { completionFiles } from './completion-scripts.ts';
import { type Manual, manPages } from './man.ts';
import { openapi, type OpenApiDetails } from './openapi.ts';

export interface DocumentSources {
  readonly program: Command;
  readonly operations: readonly AnyOperation<never>[];
  readonly manual: Manual;
  readonly describeNoun: OpenApiDetails['describeNoun'];
}

/** Everything that is generated and committed, by its path in the repository. */
export function renderDocuments({
  program,
  operations,
  manual,
  describeNoun,
}: DocumentSources): ReadonlyMap<string, string> {
  const { version } = manual;
  const pages = manPages(program, manual);
  return new Map([
    ...completionFiles(),
    ...[...pages].map(([file, text]): [string, string] => [`man/${file}`, text]),
    ['src/cli/top-help.ts', topHelp(program)],
    ['openapi.json', `${JSON.stringify(openapi(operations, { version, describeNoun }), undefined, 2)}\n`],
  ]);
}

/** The help of the program itself, so that printing it takes no more than the text: growing the tree costs 200 ms. */
const topHelp = (program: Command): string =>
  `/** What \`gatewayctl --help\` prints. Generated; see documents.ts. */\nexport const topHelp = ${literal(program.helpInformation())};\n`;

/** A text as oxfmt leaves it. */
const literal = (text: string): string => `\`${text.replaceAll(/[\\`$]/g, String.raw`\$&`)}\``;

/** The day of a build that must be reproducible, as https://reproducible-builds.org/specs/source-date-epoch has it. */
export function sourceDate(epoch: string | undefined, otherwise: string): string {
  if (!epoch) return otherwise;
  const date = new Date(Number(epoch) * 1_000);
  if (!/^\d+$/.test(epoch) || Number.isNaN(date.getTime())) {
    throw new RangeError(`SOURCE_DATE_EPOCH is not a number of seconds: ${epoch}`);
  }
  return date.toISOString().slice(0, 10);
}
