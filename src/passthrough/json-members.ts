const quote = 0x22;
const backslash = 0x5c;
const comma = 0x2c;
const colon = 0x3a;
const openBracket = 0x5b;
const closeBracket = 0x5d;
const openBrace = 0x7b;
const closeBrace = 0x7d;

/** Deeper than this nobody reports what was used. */
const deepest = 6;
const longestName = 64;
const longestValue = 64 * 1024;

/**
 * Watches JSON go by, of any length and in any number of pieces, and hands out the values of a few members. It goes by where
 * a member stands, not by what it looks like: a model may write `"usage": {…}` into the arguments of a tool.
 *
 * A path is the names on the way, joined by dots: `response.usage`. An array inside is a `*`; one around the documents, as
 * Gemini streams, does not count. Of the whole nothing is kept but the value that is being read, up to 64 KiB.
 */
export class JsonMembers {
  readonly #wanted: ReadonlySet<string>;
  readonly #found: (path: string, value: unknown) => void;
  #depth = 0;
  /** For each level whether it is an array, and the name of the member that is being read. */
  readonly #isArray: boolean[] = [];
  readonly #names: string[] = [];
  #isInString = false;
  #isEscaped = false;
  #expectsName = false;
  /** The name that is being read, where one is. */
  #name: string | undefined;
  #capture: { readonly path: string; readonly depth: number; readonly pieces: Buffer[]; length: number } | undefined;
  #from = 0;

  constructor(wanted: ReadonlySet<string>, found: (path: string, value: unknown) => void) {
    this.#wanted = wanted;
    this.#found = found;
  }

  /** Whatever comes next begins anew. */
  reset(): void {
    this.#depth = 0;
    this.#isInString = this.#isEscaped = this.#expectsName = false;
    this.#name = this.#capture = undefined;
  }

  push(bytes: Buffer): void {
    this.#from = 0;
    for (let index = 0; index < bytes.length; index++) {
      if (this.#isInString) index = this.#readString(bytes, index);
      else this.#read(bytes, index);
    }
    this.#keep(bytes, bytes.length);
  }

  #read(bytes: Buffer, index: number): void {
    const byte = bytes[index] ?? 0;
    switch (byte) {
      case quote:
        this.#isInString = true;
        this.#name = this.#expectsName ? '' : undefined;
        break;
      case openBrace:
      case openBracket:
        this.#enter(byte === openBracket);
        break;
      case closeBrace:
      case closeBracket:
        this.#endValue(bytes, index);
        this.#depth = Math.max(0, this.#depth - 1);
        this.#expectsName = false;
        break;
      case comma:
        this.#endValue(bytes, index);
        this.#expectsName = this.#depth > 0 && this.#depth <= deepest && !this.#isArray[this.#depth];
        break;
      case colon:
        this.#beginValue(index);
        break;
      default:
    }
  }

  #enter(isArray: boolean): void {
    this.#depth++;
    if (this.#depth <= deepest) {
      this.#isArray[this.#depth] = isArray;
      this.#names[this.#depth] = isArray && this.#depth > 1 ? '*' : '';
    }
    this.#expectsName = !isArray && this.#depth <= deepest;
  }

  /** Up to the end of the string or of the bytes. @returns the last byte that was read */
  #readString(bytes: Buffer, from: number): number {
    let index = from;
    for (; index < bytes.length; index++) {
      if (this.#isEscaped) this.#isEscaped = false;
      else if (bytes[index] === backslash) this.#isEscaped = true;
      else if (bytes[index] === quote) break;
    }
    if (this.#name !== undefined)
      this.#name = (this.#name + bytes.toString('latin1', from, index)).slice(0, longestName + 1);
    if (index < bytes.length) {
      this.#isInString = false;
      if (this.#name !== undefined) this.#names[this.#depth] = this.#name;
    }
    return index;
  }

  #beginValue(index: number): void {
    if (this.#name === undefined) return;
    this.#name = undefined;
    this.#expectsName = false;
    if (this.#capture) return;
    const path = this.#path();
    if (!this.#wanted.has(path)) return;
    this.#capture = { path, depth: this.#depth, pieces: [], length: 0 };
    this.#from = index + 1;
  }

  #path(): string {
    const names = this.#names.slice(1, this.#depth + 1);
    return (this.#isArray[1] ? names.slice(1) : names).join('.');
  }

  #endValue(bytes: Buffer, index: number): void {
    if (this.#capture?.depth !== this.#depth) return;
    this.#keep(bytes, index);
    const { path, pieces, length } = this.#capture;
    this.#capture = undefined;
    if (length > longestValue) return;
    const value = parse(Buffer.concat(pieces).toString());
    if (value !== undefined) this.#found(path, value);
  }

  #keep(bytes: Buffer, to: number): void {
    const capture = this.#capture;
    if (!capture) return;
    capture.length += to - this.#from;
    if (capture.length <= longestValue) capture.pieces.push(Buffer.from(bytes.subarray(this.#from, to)));
    else capture.pieces.length = 0;
  }
}

function parse(json: string): unknown {
  try {
    return JSON.parse(json);
  } catch {
    // Not ours to judge: what is no JSON reports nothing.
    return undefined;
  }
}
