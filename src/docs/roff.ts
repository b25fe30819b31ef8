/** The language of manual pages. Text goes in by these functions only, so that none of it can be taken for a request. */

/**
 * A text that arrives as it is, and can be pasted from the page into a terminal: `'`, `` ` ``, `^`, `~` and `-` have
 * typographic readings in roff. Anything beyond ASCII is named, so that no page depends on a locale.
 */
export function escapeRoff(text: string): string {
  const named = text
    .replaceAll('\\', String.raw`\e`)
    .replace(/['`^~"-]/g, (character) => characters[character] ?? character)
    .replace(
      /[^\n\t -~]/gu,
      (character) => `\\[u${(character.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, '0')}]`,
    );
  return named.replace(/^\./gm, String.raw`\&.`);
}

const characters: Readonly<Record<string, string>> = {
  "'": String.raw`\(aq`,
  '`': String.raw`\(ga`,
  '^': String.raw`\(ha`,
  '~': String.raw`\(ti`,
  '"': String.raw`\(dq`,
  '-': String.raw`\-`,
};

/** Text in lines of a length that suits diffs; roff fills them again. Blanks are all one to it. */
export function fill(text: string): readonly string[] {
  const lines: string[] = [];
  for (const word of text.split(/\s+/).filter(Boolean)) {
    const last = lines.at(-1);
    const next = escapeRoff(word);
    if (last !== undefined && last.length + 1 + next.length <= 80) lines[lines.length - 1] = `${last} ${next}`;
    else lines.push(next);
  }
  return lines.length > 0 ? lines : [String.raw`\&`];
}

export const bold = (text: string): string => `\\fB${escapeRoff(text)}\\fR`;

export const italic = (text: string): string => `\\fI${escapeRoff(text)}\\fR`;

/** A heading and what stands under it; nothing where that is nothing. */
export const section = (title: string, lines: readonly string[]): readonly string[] =>
  lines.length > 0 ? [`.SH ${escapeRoff(title)}`, ...lines] : [];

export const subsection = (title: string, lines: readonly string[]): readonly string[] =>
  lines.length > 0 ? [`.SS ${escapeRoff(title)}`, ...lines] : [];

/** A term, in roff already, with its explanation indented under it. */
export const entry = (term: string, text: string): readonly string[] => ['.TP', term, ...fill(text)];

/** Lines that are not filled, as a terminal shows them. */
export const verbatim = (lines: readonly string[]): readonly string[] => [
  '.RS 4',
  '.EX',
  ...lines.map((line) => (line === '' ? '.sp' : escapeRoff(line))),
  '.EE',
  '.RE',
];

/**
 * Plain text: paragraphs with an empty line between, and as they are those whose lines are all indented. A paragraph
 * macro straight after a heading is one too many, so there is none before the first.
 */
export function paragraphs(text: string): readonly string[] {
  const blocks = text
    .trim()
    .split(/\n{2,}/)
    .filter(Boolean);
  return blocks.flatMap((block, index) => {
    const lines = block.split('\n');
    const isVerbatim = index > 0 && lines.every((line) => line.startsWith('  '));
    const body = isVerbatim ? verbatim(lines.map((line) => line.slice(2))) : fill(block);
    return index === 0 ? body : ['.PP'].concat(body);
  });
}

/** A reference to another page, as `man` writes them, and never broken over two lines. */
export const reference = (page: string, chapter: number): string => `\\%${bold(page)}(${chapter})`;

/** References in one paragraph, commas between. */
export const references = (all: readonly string[]): readonly string[] =>
  all.map((each, index) => (index < all.length - 1 ? `${each},` : each));

export interface Title {
  readonly page: string;
  readonly chapter: number;
  /** YYYY-MM-DD. Never the day of the build: the same source makes the same page. */
  readonly date: string;
  readonly version: string;
  readonly summary: string;
}

/** The head of a page: where it came from, its title line and its NAME section, which `apropos` reads. */
export const head = ({ page, chapter, date, version, summary }: Title): readonly string[] => [
  String.raw`.\" Made by "npm run generate". Do not edit.`,
  `.TH ${escapeRoff(page.toUpperCase())} ${chapter} ${date} "gatewayctl ${escapeRoff(version)}" "gatewayctl manual"`,
  // Stretched blanks stand in the way of reading a command.
  '.ad l',
  '.SH NAME',
  `${escapeRoff(page)} \\- ${escapeRoff(summary)}`,
];
