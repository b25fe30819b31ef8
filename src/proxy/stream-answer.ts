import type { IncomingHttpHeaders } from 'node:http';
import { GatewayError } from '../kernel/errors.ts';
import type { Units } from '../metering/units.ts';
import type { Exchange } from './exchange.ts';
import { invalidAnswer, refuseCredential, refusedInStream } from './failures.ts';
import { passOn } from './pass-on.ts';
import { noteUsage } from './plain-answer.ts';
import type { Intake } from './relay.ts';
import { chatEvents } from './events/chat-events.ts';
import type { StreamDialect } from './events/dialect.ts';
import { SseScanner } from './sse.ts';

export const streamHeaders: readonly string[] = [
  'content-type',
  'text/event-stream; charset=utf-8',
  'cache-control',
  'no-cache',
  // nginx would otherwise gather events until its buffer is full.
  'x-accel-buffering',
  'no',
];

/** An answer in events, passed on as they come. Its end is kept back until the call is settled. */
export class StreamAnswer implements Intake {
  readonly #exchange: Exchange;
  readonly #headers: IncomingHttpHeaders;
  readonly #dialect: StreamDialect;
  readonly #scanner: SseScanner;
  readonly #isMarked: boolean;
  #noted: unknown;
  /** How the upstream itself says that it failed, when it does so in its last event. */
  #failure: Buffer | undefined;

  constructor(exchange: Exchange, headers: IncomingHttpHeaders) {
    this.#exchange = exchange;
    this.#headers = headers;
    this.#isMarked = /^text\/event-stream\b/i.test(headers['content-type'] ?? '');
    const { endpoint, asked, context } = exchange;
    this.#dialect = endpoint.events ?? chatEvents;
    this.#scanner = new SseScanner({
      dialect: this.#dialect,
      hidesUsage: asked.hidesUsage,
      maxEvent: context.limits.eventBytes,
      rename: exchange.rename,
    });
  }

  get isOver(): boolean {
    return this.#scanner.done;
  }

  get awaitsUsage(): boolean {
    return this.#scanner.finished && !this.#scanner.isUsageFinal && !this.#scanner.over;
  }

  get isUsageFinal(): boolean {
    return this.#scanner.isUsageFinal;
  }

  get isInputFinal(): boolean {
    return this.#scanner.isInputFinal;
  }

  get toolUnits(): Units | undefined {
    return this.#scanner.toolUnits;
  }

  data(chunk: Buffer): void {
    if (!this.#isMarked) throw invalidAnswer('is not an event stream');
    const events = this.#scanner.push(chunk);
    this.#take(events);
  }

  end(): void {
    if (!this.#isMarked) throw invalidAnswer('is not an event stream');
    this.#take(this.#scanner.end());
    if (this.#scanner.done || (this.#scanner.finished && !this.#dialect.hasLast)) return;
    throw new GatewayError('upstream', 'upstream_interrupted', 'The upstream ended its stream before it was finished');
  }

  finish(): void {
    if (!this.#exchange.isAnswering) this.#begin();
    // Where the upstream ended without it, it is not ours to add.
    this.#exchange.recall?.add(this.#scanner.last);
    this.#exchange.recall?.keepAdded();
    this.#exchange.end(this.#scanner.last);
  }

  /** Never a made-up finish: what is said here tells a broken stream from a whole one. */
  farewell(error: GatewayError): Buffer | string {
    return this.#failure ?? this.#dialect.interruption(error, this.#scanner.recent);
  }

  completionTokens(): number | Promise<number> {
    const { delivered } = this.#scanner;
    const { text } = delivered;
    return text === undefined ? delivered.tokens : this.#exchange.context.deps.counter.completionTokens(text);
  }

  get delivered(): string | undefined {
    return this.#scanner.delivered.text;
  }

  get tokensSoFar(): number {
    return this.#scanner.delivered.tokens;
  }

  #take(events: Buffer | undefined): void {
    const { usage, error, done, tier, last } = this.#scanner;
    // Some upstreams report in every chunk what was used so far: the last one counts.
    if (usage !== this.#noted) noteUsage(this.#exchange, (this.#noted = usage));
    const { deployment } = this.#exchange.target;
    if (last) refuseCredential(last, deployment);
    if (events) refuseCredential(events, deployment);
    if (tier !== undefined) this.#exchange.serviceTier = tier;
    if (events) {
      // With the usage known the end follows at once, and one system call sends both. The socket is corked and not the
      // response: `end()` of a corked response sends the last chunk's mark before what it holds (Node 24.21).
      if (done && this.#scanner.isUsageFinal) this.#exchange.response.socket?.cork();
      this.#pass(events);
    }
    if (error === undefined) return;
    this.#failure = last;
    throw refusedInStream(error, deployment);
  }

  #pass(events: Buffer): void {
    // Read on for the usage alone: nobody is there, and a closed response never drains.
    if (this.#exchange.response.destroyed) return;
    if (!this.#exchange.isAnswering) this.#begin();
    this.#exchange.recall?.add(events);
    passOn(this.#exchange, events);
  }

  #begin(): void {
    const { response } = this.#exchange;
    response.writeHead(200, [
      ...streamHeaders,
      ...this.#exchange.passedHeaders(this.#headers),
      ...this.#exchange.headers(),
    ]);
  }
}
