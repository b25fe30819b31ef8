import { isUtf8 } from 'node:buffer';
import { GatewayError } from '../kernel/errors.ts';
import { Gathered } from '../kernel/gathered.ts';
import { isRecord } from '../kernel/record.ts';
import type { Units } from '../metering/units.ts';
import { DeliveredText } from './delivered-text.ts';
import type { EventReading, StreamDialect } from './events/dialect.ts';
import { ToolUses } from './events/tool-uses.ts';

/** A blank line, whichever of the three line ends its server uses. A carriage return at the very end may be half of one. */
const blankLine = /(?:\r\n|\n|\r(?=[^\n]))(?:\r\n|\n|\r(?=[^\n]))/g;
const anyLineEnd = /\r\n|\n|\r/;
const byteOrderMark = '\u00ef\u00bb\u00bf';
/** Enough of what came before for a blank line that two chunks share. */
const seamLength = 3;

const malformed = (message: string): GatewayError => new GatewayError('upstream', 'upstream_invalid_response', message);

export interface ScannerOptions {
  readonly dialect: StreamDialect;
  /** Whether events that only the gateway asked for are kept from the client. */
  readonly hidesUsage: boolean;
  /** Bytes one event may have. */
  readonly maxEvent: number;
  /** Puts the client's names into the payload of an event that holds the upstream's. */
  readonly rename?: ((payload: Buffer) => Buffer) | undefined;
}

/**
 * Watches a stream of server-sent events go by and says which bytes may be passed on.
 *
 * Only whole events are passed on: half of one could turn out to be the usage chunk nobody asked for, and if the
 * upstream is cut in it, what we say next would be glued to it. Events are not parsed one by one; a chunk of them is
 * searched for the few things that matter (0.6 µs for one event of 300 bytes, against 2 µs for `JSON.parse`), and only
 * a chunk that holds one of them is taken apart. Inside a JSON string a quote is always escaped, so text that a model
 * writes cannot look like `usage"`.
 */
export class SseScanner {
  readonly #options: ScannerOptions;
  /** The beginning of an event whose end has not come. */
  readonly #rest = new Gathered();
  #seam = '';
  #atStart = true;
  readonly delivered: DeliveredText;
  /** The last usage object that came by, as the upstream sent it. */
  usage: unknown;
  /** Whether that is what the whole call used: the upstream said so, or it came with the end of the stream. */
  isUsageFinal = false;
  /** Whether its input is. */
  isInputFinal = false;
  #isUsageLate = false;
  /** The service tier, as the event with the usage names it. */
  tier: string | undefined;
  /** Of tools that the provider runs. */
  #toolUses: ToolUses | undefined;
  /** An error the upstream reported inside of the stream. Nothing after it is passed on. */
  error: unknown;
  /** Whether the model has said that it finished. */
  finished = false;
  /** The event that ends the stream, once it came. It is never passed on from here. */
  last: Buffer | undefined;
  /** The events that were passed on most recently. */
  recent = '';

  constructor(options: ScannerOptions) {
    this.#options = options;
    this.delivered = new DeliveredText(options.dialect.written);
  }

  get done(): boolean {
    return this.last !== undefined;
  }

  /** What tools that the provider runs have cost so far; undefined while that is nothing. */
  get toolUnits(): Units | undefined {
    return this.#toolUses?.units;
  }

  get over(): boolean {
    return this.done || this.error !== undefined;
  }

  /** Takes what arrived; returns what may be passed on, if anything. Throws when this is no event stream. */
  push(chunk: Buffer): Buffer | undefined {
    const text = chunk.toString('latin1');
    const end = this.#endOfEvents(text);
    if (end === undefined || (end === 0 && this.#rest.length === 0)) {
      this.#keep(chunk, text);
      return undefined;
    }
    const head = end === chunk.length ? chunk : chunk.subarray(0, end);
    const whole = this.#rest.length > 0 ? this.#endRest(head) : head;
    const wholeText = whole === chunk ? text : whole.toString('latin1');
    this.#seam = '';
    if (end < chunk.length) this.#keep(chunk.subarray(end), text.slice(end));
    return this.#inspect(whole, wholeText);
  }

  /** The upstream has ended: an event that lacks only its blank line is still one. */
  end(): Buffer | undefined {
    const events = this.#endOfRest();
    this.isUsageFinal ||= this.#isUsageLate;
    return events;
  }

  #endOfRest(): Buffer | undefined {
    const rest = this.#rest.take();
    if (rest.length === 0 || payloadOf(rest.toString('latin1')) === '') return undefined;
    const closed = Buffer.concat([rest, Buffer.from('\n\n')]);
    return this.#select(closed, closed.toString('latin1'), { from: 0, strict: true });
  }

  /**
   * Where in the chunk the last whole event ends; undefined when none does. 0 where only now it is known that what came before
   * has ended: its last carriage return was no half of a line end.
   */
  #endOfEvents(text: string): number | undefined {
    if (!text.includes('\r') && !this.#seam.includes('\r')) {
      const index = text.lastIndexOf('\n\n');
      if (index !== -1) return index + 2;
      return text.startsWith('\n') && this.#seam.endsWith('\n') ? 1 : undefined;
    }
    const joined = this.#seam + text;
    let end = -1;
    for (const match of joined.matchAll(blankLine)) end = match.index + match[0].length - this.#seam.length;
    return end < 0 ? undefined : end;
  }

  #keep(chunk: Buffer, text: string): void {
    this.#rest.add(chunk);
    if (this.#rest.length > this.#options.maxEvent) throw malformed('The upstream sent an event that is too large');
    this.#seam = (this.#seam + text.slice(-seamLength)).slice(-seamLength);
  }

  #endRest(head: Buffer): Buffer {
    this.#rest.add(head);
    return this.#rest.take();
  }

  #inspect(bytes: Buffer, text: string): Buffer | undefined {
    if (!isUtf8(bytes)) throw malformed('The upstream sent a stream that is not valid UTF-8');
    const from = this.#firstOfInterest(text);
    if (from !== -1) return this.#select(bytes, text, { from, strict: false });
    this.#passBy(text);
    return bytes;
  }

  /** Where the first event begins that must be looked at, or -1. */
  #firstOfInterest(text: string): number {
    let first = -1;
    for (const mark of this.#options.dialect.marks) {
      const at = typeof mark === 'string' ? text.indexOf(mark) : text.search(mark);
      if (at !== -1 && (first === -1 || at < first)) first = at;
    }
    if (first === -1) return -1;
    const blank = text.includes('\r') ? -1 : text.lastIndexOf('\n\n', first);
    return blank === -1 ? 0 : blank + 2;
  }

  /** Events with nothing in them but what the model wrote. */
  #passBy(text: string): void {
    if (!this.finished) this.finished = this.#options.dialect.finish?.test(text) === true;
    this.#atStart = false;
    this.recent = text;
    this.delivered.add(text);
  }

  /** Takes a chunk apart, event by event, from a point on. */
  #select(bytes: Buffer, text: string, { from, strict }: { from: number; strict: boolean }): Buffer | undefined {
    const kept: Buffer[] = [];
    if (from > 0) {
      kept.push(bytes.subarray(0, from));
      this.#passBy(text.slice(0, from));
    }
    let start = from;
    for (const end of endsOfEvents(text, from)) {
      const event = text.slice(start, end);
      const admitted = this.#admit(bytes.subarray(start, end), event, strict);
      if (admitted) {
        kept.push(admitted);
        this.recent = event;
        this.delivered.add(event);
      }
      this.#atStart = false;
      start = end;
      if (this.over) break;
    }
    if (kept.length === 0) return undefined;
    return kept.length === 1 ? kept[0] : Buffer.concat(kept);
  }

  /** Learns what an event has to say, and what of it may be passed on. */
  #admit(bytes: Buffer, text: string, strict: boolean): Buffer | undefined {
    const plain = this.#atStart && text.startsWith(byteOrderMark) ? text.slice(byteOrderMark.length) : text;
    const payload = payloadOf(plain);
    const { dialect, hidesUsage, rename } = this.#options;
    const reading = dialect.read({ name: nameOf(plain), payload, data: parse(payload) }, this.usage);
    // Of half an event at a stream's end nobody knows what it says.
    if (!reading) return strict ? undefined : bytes;
    this.#learn(reading);
    const event = rename && reading.isNamed ? withPayload(plain, rename(Buffer.from(payload, 'latin1'))) : bytes;
    if (reading.isLast) this.last = event;
    return reading.isLast || reading.error !== undefined || (reading.isHidden && hidesUsage) ? undefined : event;
  }

  #learn({ error, isFinish, isLast, usage, isUsageFinal, isInputFinal, tier, toolUse }: EventReading): void {
    if (error !== undefined) this.error = error;
    if (isFinish) this.finished = true;
    if (toolUse) (this.#toolUses ??= new ToolUses()).add(toolUse);
    if (usage !== undefined) {
      this.usage = usage;
      if (typeof tier === 'string') this.tier = tier;
      this.#isUsageLate = this.finished;
      if (isUsageFinal) this.isUsageFinal = true;
      if (isInputFinal) this.isInputFinal = true;
    }
    if (isLast) this.isUsageFinal ||= this.#isUsageLate;
  }
}

function parse(payload: string): Record<string, unknown> | undefined {
  if (!payload.trimStart().startsWith('{')) return undefined;
  try {
    const data: unknown = JSON.parse(Buffer.from(payload, 'latin1').toString());
    return isRecord(data) ? data : undefined;
  } catch {
    // Not ours to judge: what is not JSON has no usage in it.
    return undefined;
  }
}

function* endsOfEvents(text: string, from: number): Generator<number> {
  const blank = new RegExp(text.includes('\r') ? blankLine : /\n\n/g);
  blank.lastIndex = from;
  let last = from;
  while (blank.exec(text)) yield (last = blank.lastIndex);
  if (last < text.length) yield text.length;
}

/** The data lines of an event, joined as the specification says. */
function payloadOf(event: string): string {
  const lines: string[] = [];
  for (const line of event.split(anyLineEnd)) {
    if (line.startsWith('data:')) lines.push(line.slice(line.charAt(5) === ' ' ? 6 : 5));
  }
  return lines.join('\n');
}

function nameOf(event: string): string {
  const name = /^event:\s?(.*)$/m.exec(event.includes('\r') ? event.replaceAll(/\r\n?/g, '\n') : event)?.[1];
  return name ?? '';
}

/** An event with other data in it, and everything else as it was. */
function withPayload(event: string, payload: Buffer): Buffer {
  const others = event.split(anyLineEnd).filter((line) => line !== '' && !line.startsWith('data:'));
  const data = payload
    .toString('latin1')
    .split(anyLineEnd)
    .map((line) => `data: ${line}`);
  return Buffer.from(`${[...others, ...data].join('\n')}\n\n`, 'latin1');
}
