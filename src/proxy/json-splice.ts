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

/** Members to set, each with its value as JSON. */
export type Members = readonly (readonly [name: string, json: string])[];

/**
 * A JSON object with some of its members set and every other byte as it was: a `seed` of 19 digits, unknown fields and
 * `1.0` arrive as they were sent, which a parse and stringify would not promise.
 */
export function spliceJson(json: Buffer, survey: Survey, members: Members): Buffer {
  const added: string[] = [];
  const edits: (readonly [start: number, end: number, value: string])[] = [];
  for (const [name, value] of members) {
    const range = survey.values.get(name);
    if (range) edits.push([range[0], range[1], value]);
    else added.push(`${JSON.stringify(name)}:${value}`);
  }
  if (added.length > 0) {
    const inside = json.indexOf(OPEN_BRACE) + 1;
    edits.push([inside, inside, added.join(',') + (survey.members > 0 ? ',' : '')]);
  }
  edits.sort((one, other) => one[0] - other[0]);
  return replace(json, edits);
}

/** Copies once, into one buffer: a slice for each part and their concatenation cost twice as much, most of it in the collector. */
function replace(json: Buffer, edits: readonly (readonly [start: number, end: number, value: string])[]): Buffer {
  let length = json.length;
  for (const [start, end, value] of edits) length += Buffer.byteLength(value) - (end - start);
  const result = Buffer.allocUnsafe(length);
  let from = 0;
  let at = 0;
  for (const [start, end, value] of edits) {
    at += json.copy(result, at, from, start);
    at += result.write(value, at);
    from = end;
  }
  json.copy(result, at, from);
  return result;
}
