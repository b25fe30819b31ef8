/** What one pass over the bytes of a JSON text tells without parsing it. Means nothing where the text is not valid JSON. */
export interface Survey {
  readonly depth: number;
  readonly nodes: number;
  /** Members of the outermost object, repeated names counted each time. */
  readonly members: number;
  /** Where the values of the outermost object's members lie, for the names that were asked for. */
  readonly values: ReadonlyMap<string, readonly [start: number, end: number]>;
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COMMA = 0x2c;
const COLON = 0x3a;
const OPEN_BRACE = 0x7b;
const OPEN_BRACKET = 0x5b;
const CLOSE_BRACE = 0x7d;
const CLOSE_BRACKET = 0x5d;

/** Past this a string is searched by `indexOf`, which costs 0.1 µs to call and almost nothing a byte. */
const shortString = 48;

/** The index of the quote that closes a string whose first character is at `from`, or the length when none does. */
function closingQuote(json: Buffer, from: number): number {
  const near = Math.min(from + shortString, json.length);
  let index = from;
  while (index < near) {
    const byte = json[index];
    if (byte === QUOTE) return index;
    index += byte === BACKSLASH ? 2 : 1;
  }
  for (;;) {
    const quote = json.indexOf(QUOTE, index);
    if (quote === -1) return json.length;
    let escapes = quote;
    while (escapes > index && json[escapes - 1] === BACKSLASH) escapes--;
    if ((quote - escapes) % 2 === 0) return quote;
    index = quote + 1;
  }
}

/**
 * Surveys a JSON text, giving up as soon as it is deeper or has more values than allowed: that is known before anything
 * is built from it.
 */
export function surveyJson(
  json: Buffer,
  names: ReadonlySet<string>,
  limits: { depth: number; nodes: number } = { depth: Number.MAX_SAFE_INTEGER, nodes: Number.MAX_SAFE_INTEGER },
): Survey {
  const values = new Map<string, [number, number]>();
  let depth = 0;
  let deepest = 0;
  let nodes = 0;
  let members = 0;
  let key = '';
  let valueStart = -1;

  for (let index = 0; index < json.length && deepest <= limits.depth && nodes <= limits.nodes; index++) {
    const byte = json[index];
    if (byte === QUOTE) {
      const end = closingQuote(json, index + 1);
      // Names are short and plain; one that is longer or spelled with escapes is found by counting members instead.
      if (depth === 1 && valueStart === -1) key = end - index < 32 ? json.toString('latin1', index + 1, end) : '';
      index = end;
    } else if (byte === OPEN_BRACE || byte === OPEN_BRACKET) {
      depth++;
      nodes++;
      if (depth > deepest) deepest = depth;
    } else if (byte === COLON) {
      if (depth === 1) {
        members++;
        valueStart = index + 1;
      }
    } else if (byte === COMMA || byte === CLOSE_BRACE || byte === CLOSE_BRACKET) {
      if (byte === COMMA) nodes++;
      if (depth === 1 && valueStart !== -1) {
        if (names.has(key)) values.set(key, [valueStart, index]);
        valueStart = -1;
      }
      if (byte !== COMMA) depth--;
    }
  }
  return { depth: deepest, nodes, members, values };
}
