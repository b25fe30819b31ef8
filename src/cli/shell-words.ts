const isPlain = /^[\w@%+=:,./-]+$/;
const isPlaceholder = /^<[^\s<>]+>$/;

/** A word as it must be typed in a shell to arrive as it is. A placeholder such as `<key>` stays one. */
export const quoteWord = (word: string): string =>
  isPlain.test(word) || isPlaceholder.test(word) ? word : `'${word.replaceAll("'", String.raw`'\''`)}'`;

/** A command line of ours that can be pasted. */
export const commandLine = (words: readonly string[]): string => ['gatewayctl', ...words.map(quoteWord)].join(' ');
