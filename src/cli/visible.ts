/**
 * Control characters (C0, DEL, C1) and those that turn the direction of writing around. Aliases and model names come
 * from users; printed as they are they could retitle the terminal, hide text or forge a line.
 */
// oxlint-disable-next-line no-control-regex -- finding them is the purpose
const unsafe = /[\u0000-\u001F\u007F-\u009F\u200E\u200F\u2028-\u202E\u2066-\u2069]/g;

const named: Readonly<Record<string, string>> = { '\n': String.raw`\n`, '\r': String.raw`\r`, '\t': String.raw`\t` };

function escape(character: string): string {
  const code = character.codePointAt(0) ?? 0;
  return code < 256 ? `\\x${code.toString(16).padStart(2, '0')}` : `\\u${code.toString(16).padStart(4, '0')}`;
}

/** A text as it can be shown on a terminal: on one line, and without effect on what stands around it. */
export const visible = (text: string): string =>
  text.replace(unsafe, (character) => named[character] ?? escape(character));

/** The same for a text that is meant to have lines, such as a hint. */
export const visibleLines = (text: string): string => text.split('\n').map(visible).join('\n');

/** JSON with the same characters escaped the way JSON does it: still the same value. */
export const visibleJson = (json: string): string =>
  json.replace(unsafe, (character) =>
    character === '\n' ? character : `\\u${(character.codePointAt(0) ?? 0).toString(16).padStart(4, '0')}`,
  );
