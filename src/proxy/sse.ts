import { isUtf8 } from 'node:buffer';
import { GatewayError } from '../kernel/errors.ts';
import { isRecord } from '../kernel/record.ts';
import { DeliveredText } from './delivered-text.ts';

/** A blank line, whichever of the three line ends its server uses. A carriage return at the very end may be half of one. */
const blankLine = /(?:\r\n|\n|\r(?=[^\n]))(?:\r\n|\n|\r(?=[^\n]))/g;
const anyLineEnd = /\r\n|\n|\r/;
const usageObject = /usage"\s*:\s*\{/;
const finishReason = /finish_reason"\s*:\s*"/;
const errorMember = /error"\s*:/;
const byteOrderMark = '\u00ef\u00bb\u00bf';
/** Enough of what came before for a blank line that two chunks share. */
const seamLength = 3;

const malformed = (message: string): GatewayError => new GatewayError('upstream', 'upstream_invalid_response', message);

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
  readonly #hidesUsage: boolean;
  readonly #maxEvent: number;
  /** The beginning of an event whose end has not come. */
  #rest: Buffer[] = [];
  #restLength = 0;
  #seam = '';
  #atStart = true;
  readonly delivered = new DeliveredText();
  /** The last usage object that came by, as the upstream sent it. */
  usage: unknown;
  /** Whether that is what the whole call used: it came by itself, as OpenAI's last chunk, or with the end of the stream. */
  isUsageFinal = false;
  #isUsageLate = false;
  /** The service tier, as the event with the usage names it. */
  tier: string | undefined;
  /** An error the upstream reported inside of the stream. Nothing after it is passed on. */
  error: unknown;
  /** Whether a choice was ended by the model. */
  finished = false;
  /** Whether `[DONE]` came. It is never passed on from here. */
  done = false;

  constructor(options: { hidesUsage: boolean; maxEvent: number }) {
    this.#hidesUsage = options.hidesUsage;
    this.#maxEvent = options.maxEvent;
  }

  get over(): boolean {
    return this.done || this.error !== undefined;
  }

  /** Takes what arrived; returns what may be passed on, if anything. Throws when this is no event stream. */
  push(chunk: Buffer): Buffer | undefined {
    const text = chunk.toString('latin1');
    const end = this.#endOfEvents(text);
    if (end === 0) {
      this.#keep(chunk, text);
      return undefined;
    }
    const head = end === chunk.length ? chunk : chunk.subarray(0, end);
    const whole = this.#restLength > 0 ? Buffer.concat([...this.#rest, head]) : head;
    const wholeText = whole === chunk ? text : whole.toString('latin1');
    this.#rest = [];
    this.#restLength = 0;
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
    const rest = Buffer.concat(this.#rest);
    this.#rest = [];
    this.#restLength = 0;
    if (rest.length === 0 || payloadOf(rest.toString('latin1')) === '') return undefined;
    const closed = Buffer.concat([rest, Buffer.from('\n\n')]);
    return this.#select(closed, closed.toString('latin1'), { from: 0, strict: true });
  }

  /** Where in the chunk the last whole event ends; 0 when none does. */
  #endOfEvents(text: string): number {
    if (!text.includes('\r') && !this.#seam.includes('\r')) {
      const index = text.lastIndexOf('\n\n');
      if (index !== -1) return index + 2;
      return text.startsWith('\n') && this.#seam.endsWith('\n') ? 1 : 0;
    }
    const joined = this.#seam + text;
    let end = 0;
    for (const match of joined.matchAll(blankLine)) end = match.index + match[0].length;
    return Math.max(0, end - this.#seam.length);
  }

  #keep(chunk: Buffer, text: string): void {
    this.#restLength += chunk.length;
    if (this.#restLength > this.#maxEvent) throw malformed('The upstream sent an event that is too large');
    this.#rest.push(chunk);
    this.#seam = (this.#seam + text.slice(-seamLength)).slice(-seamLength);
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
    const found = [text.indexOf('[DONE]'), text.search(usageObject), text.search(errorMember)].filter(
      (at) => at !== -1,
    );
    if (found.length === 0) return -1;
    const blank = text.includes('\r') ? -1 : text.lastIndexOf('\n\n', Math.min(...found));
    return blank === -1 ? 0 : blank + 2;
  }

  /** Events with nothing in them but what the model wrote. */
  #passBy(text: string): void {
    if (!this.finished) this.finished = finishReason.test(text);
    this.#atStart = false;
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
      if (this.#admit(event, strict)) {
        kept.push(bytes.subarray(start, end));
        this.delivered.add(event);
      }
      this.#atStart = false;
      start = end;
      if (this.over) break;
    }
    if (kept.length === 0) return undefined;
    return kept.length === 1 ? kept[0] : Buffer.concat(kept);
  }

  /** Learns what an event has to say, and whether it may be passed on. */
  #admit(event: string, strict: boolean): boolean {
    const payload = payloadOf(this.#atStart && event.startsWith(byteOrderMark) ? event.slice(3) : event);
    if (payload.trim() === '[DONE]') {
      this.done = true;
      this.isUsageFinal ||= this.#isUsageLate;
      return false;
    }
    const data = parse(Buffer.from(payload, 'latin1').toString());
    if (!isRecord(data)) return !strict;
    if (isRecord(data['error']) || typeof data['error'] === 'string') {
      this.error = data['error'];
      return false;
    }
    if (finishReason.test(event)) this.finished = true;
    if (!isRecord(data['usage'])) return true;
    this.usage = data['usage'];
    if (typeof data['service_tier'] === 'string') this.tier = data['service_tier'];
    const isAlone = Array.isArray(data['choices']) && data['choices'].length === 0;
    this.#isUsageLate = this.finished;
    if (isAlone) this.isUsageFinal = true;
    return !(this.#hidesUsage && isAlone);
  }
}

function parse(json: string): unknown {
  try {
    return JSON.parse(json);
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
