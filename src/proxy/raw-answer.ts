import type { IncomingHttpHeaders } from 'node:http';
import { isRecord } from '../kernel/record.ts';
import type { Exchange } from './exchange.ts';
import { invalidAnswer } from './failures.ts';
import { HeldBack } from './held-back.ts';
import { passOn } from './pass-on.ts';
import { noteUsage } from './plain-answer.ts';
import type { Intake } from './relay.ts';

const takenTypes = /^(?:audio\/[\w.+-]+|application\/octet-stream|binary\/octet-stream|text\/event-stream)\s*(?:;|$)/i;
const isEvents = /^text\/event-stream\b/i;

/** The last event of a stream reports the usage, behind what was made. */
const tailBytes = 4_096;

/** An answer that is passed on byte for byte as it comes: sound, or events of images and transcripts. */
export class RawAnswer implements Intake {
  readonly isRaw = true;
  readonly #exchange: Exchange;
  readonly #headers: IncomingHttpHeaders;
  readonly #type: string;
  readonly #isTaken: boolean;
  readonly #heldBack: HeldBack;
  /** Kept back until the call is settled: with it the client knows that the answer is whole. */
  #last: Buffer | undefined;
  #tail = Buffer.alloc(0);
  #isWhole = false;

  constructor(exchange: Exchange, headers: IncomingHttpHeaders) {
    this.#exchange = exchange;
    this.#headers = headers;
    const { rawType } = exchange.endpoint;
    this.#type = rawType ?? headers['content-type'] ?? 'application/octet-stream';
    this.#isTaken = takenTypes.test(this.#type);
    this.#heldBack = new HeldBack(exchange.target.deployment);
  }

  get isOver(): boolean {
    return false;
  }

  get awaitsUsage(): boolean {
    return false;
  }

  get isUsageFinal(): boolean {
    return this.#isWhole;
  }

  /** Nobody counts them; a call that is cut is booked with what was asked for. */
  get tokensSoFar(): number {
    const { maxCompletionTokens = 0, answers } = this.#exchange.asked;
    return maxCompletionTokens * answers;
  }

  data(chunk: Buffer): void {
    if (!this.#isTaken) throw invalidAnswer('is of a kind that is not passed on');
    const bytes = this.#heldBack.take(chunk);
    if (isEvents.test(this.#type)) this.#tail = Buffer.concat([this.#tail, chunk]).subarray(-tailBytes);
    if (bytes.length === 0) return;
    if (this.#last) this.#pass(this.#last);
    this.#last = bytes;
  }

  end(): void {
    const rest = this.#heldBack.rest();
    if (rest.length > 0) this.#last = Buffer.concat([this.#last ?? rest.subarray(0, 0), rest]);
    if (!this.#isTaken || !this.#last) throw invalidAnswer('is empty');
    this.#isWhole = true;
    const usage = usageIn(this.#tail.toString());
    if (usage) noteUsage(this.#exchange, { usage });
  }

  finish(): void {
    if (!this.#exchange.isAnswering) this.#begin();
    this.#exchange.end(this.#last);
  }

  completionTokens(): number {
    return this.tokensSoFar;
  }

  #pass(bytes: Buffer): void {
    // Read on without a client: a closed response never drains.
    if (this.#exchange.response.destroyed) return;
    if (!this.#exchange.isAnswering) this.#begin();
    passOn(this.#exchange, bytes);
  }

  #begin(): void {
    const { 'content-length': length } = this.#headers;
    this.#exchange.response.writeHead(200, [
      'content-type',
      this.#type,
      ...(length !== undefined && /^\d{1,15}$/.test(length) ? ['content-length', length] : []),
      ...this.#exchange.passedHeaders(this.#headers),
      ...this.#exchange.headers(),
    ]);
  }
}

/** The object behind the last `"usage":` of a stream's end. */
function usageIn(tail: string): Record<string, unknown> | undefined {
  const at = tail.lastIndexOf('"usage"');
  if (at < 0) return undefined;
  const from = tail.indexOf('{', at);
  // At most three levels deep, and without texts that have braces in them.
  for (const { index } of from < 0 ? [] : tail.slice(from).matchAll(/\}/g)) {
    const usage = parse(tail.slice(from, from + index + 1));
    if (usage) return usage;
  }
  return undefined;
}

function parse(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return isRecord(value) ? value : undefined;
  } catch {
    // A piece of it, whose closing brace is a later one.
    return undefined;
  }
}
