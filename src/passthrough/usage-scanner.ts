import type { Usage } from '../metering/usage.ts';
import { isRecord } from '../kernel/record.ts';
import { EventFrames } from './event-frames.ts';
import { JsonMembers } from './json-members.ts';
import { tierNamed } from './served-tier.ts';
import { type DialectName, usageShapes } from './usage-readers.ts';

const isJson = /^application\/(?:[\w.+-]*json|x-ndjson|jsonl)\b/i;
const dataMark = Buffer.from('data:');
const lineFeed = 0x0a;
const carriageReturn = 0x0d;
const blank = 0x20;
const openBrace = 0x7b;
const closeBrace = 0x7d;

/** What a model wrote in an event, in whichever member: for streams that report nothing. */
const written =
  /"(?:content|text|arguments|partial_json|delta|thinking|reasoning_content)"\s*:\s*"([^"\\]*(?:\\.[^"\\]*)*)/g;
const bytesPerToken = 4;

/**
 * Reads what was used off an answer that goes by, by its media type: JSON in one piece or in many, server-sent events, the
 * binary events of AWS. It changes nothing, throws nothing, and keeps nothing but the counts.
 */
export class UsageScanner {
  readonly #dialect: DialectName;
  readonly #members: JsonMembers;
  readonly #isStream: boolean;
  readonly #take: ((bytes: Buffer) => void) | undefined;
  #reported: Readonly<Record<string, unknown>> = {};
  #tier: string | undefined;
  #pieces = 0;
  #length = 0;

  constructor(dialect: DialectName, contentType: string | undefined) {
    this.#dialect = dialect;
    const { paths, tierPaths } = usageShapes[dialect];
    this.#members = new JsonMembers(new Set([...paths, ...tierPaths]), (path, value) => {
      if (tierPaths.has(path)) this.#tier = tierNamed(value) ?? this.#tier;
      else this.#note(value);
    });
    this.#isStream = !isJson.test(contentType ?? '');
    this.#take = this.#readerOf(contentType ?? '');
  }

  push(bytes: Buffer): void {
    if (!this.#take) return;
    this.#take(bytes);
    if (!this.#isStream) {
      this.#length += bytes.length;
      return;
    }
    for (const [, text = ''] of bytes.toString('latin1').matchAll(written)) {
      if (text === '') continue;
      this.#pieces++;
      this.#length += text.length;
    }
  }

  get usage(): Usage | undefined {
    return usageShapes[this.#dialect].read(this.#reported);
  }

  /** The service tier that the answer names; what comes later counts. */
  get tier(): string | undefined {
    const { tierIn } = usageShapes[this.#dialect];
    return (tierIn === undefined ? undefined : tierNamed(this.#reported[tierIn])) ?? this.#tier;
  }

  /** Tokens that were written, roughly and rather too many: a piece of a stream is seldom less than one. */
  get tokens(): number {
    return Math.max(this.#pieces, Math.ceil(this.#length / bytesPerToken));
  }

  /** What comes later counts, member by member; an embedding of several texts is the sum of them. */
  #note(value: unknown): void {
    if (!isRecord(value)) return;
    const known = Object.entries(value).filter(([, member]) => member !== null);
    const { token_count: sum } = this.#reported;
    this.#reported = { ...this.#reported, ...Object.fromEntries(known) };
    const { token_count: more } = value;
    if (typeof sum === 'number' && typeof more === 'number') this.#reported = { token_count: sum + more };
  }

  #readerOf(type: string): ((bytes: Buffer) => void) | undefined {
    if (isJson.test(type)) return (bytes) => this.#members.push(bytes);
    if (/^text\/event-stream\b/i.test(type)) {
      const { paths, tierPaths } = usageShapes[this.#dialect];
      const lines = new DataLines(this.#members, {
        marks: marksOf(paths),
        until: marksOf(tierPaths),
        isKnown: () => this.#tier !== undefined,
      });
      return (bytes) => lines.push(bytes);
    }
    if (/^application\/vnd\.amazon\.eventstream\b/i.test(type)) {
      const frames = new EventFrames(this.#members, (value) => this.#note(value));
      return (bytes) => frames.push(bytes);
    }
    return undefined;
  }
}

/** What a document has in it that is worth reading. */
interface Sought {
  readonly marks: readonly string[];
  /** What each document of OpenAI's has: where one has been read, the next is for what is sought in it. */
  readonly until: readonly string[];
  readonly isKnown: () => boolean;
}

/** The names at the ends of paths, as they stand in JSON. */
const marksOf = (paths: ReadonlySet<string>): string[] => [
  ...new Set([...paths].map((path) => `"${path.slice(path.lastIndexOf('.') + 1)}"`)),
];

/** The data of server-sent events; those of one event are one document, and a blank line ends it. */
class DataLines {
  readonly #members: JsonMembers;
  /** How much of the mark a line has shown so far; undefined in a line that is none. */
  #matched: number | undefined = 0;
  #isBlank = true;
  readonly #sought: Sought;

  constructor(members: JsonMembers, sought: Sought) {
    this.#members = members;
    this.#sought = sought;
  }

  push(bytes: Buffer): void {
    for (let index = 0; index < bytes.length;) {
      const feed = bytes.indexOf(lineFeed, index);
      this.#readLine(bytes, index, feed === -1 ? bytes.length : feed);
      if (feed === -1) return;
      if (this.#isBlank) this.#members.reset();
      this.#matched = 0;
      this.#isBlank = true;
      index = feed + 1;
    }
  }

  #readLine(bytes: Buffer, from: number, end: number): void {
    const isEmpty = from === end || (end - from === 1 && bytes[from] === carriageReturn);
    if (!isEmpty) this.#isBlank = false;
    let index = from;
    while (this.#matched !== undefined && this.#matched < dataMark.length && index < end) {
      this.#matched = bytes[index++] === dataMark[this.#matched] ? this.#matched + 1 : undefined;
    }
    if (this.#matched !== dataMark.length || index >= end) return;
    const data = bytes.subarray(index, end);
    const isWhole = index - from === dataMark.length && end < bytes.length;
    if (!isWhole || !this.#isIdle(data)) this.#members.push(data);
  }

  /** Whether a line is a document of its own with nothing in it that is looked for: nearly all are, and need no reading. */
  #isIdle(data: Buffer): boolean {
    const first = data[0] === blank ? 1 : 0;
    const last = data.length - (data.at(-1) === carriageReturn ? 2 : 1);
    if (data[first] !== openBrace || data[last] !== closeBrace) return false;
    const { marks, until, isKnown } = this.#sought;
    const isThere = (mark: string) => data.includes(mark);
    return !marks.some(isThere) && (isKnown() || !until.some(isThere));
  }
}
