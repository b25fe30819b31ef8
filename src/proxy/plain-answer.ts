import { isUtf8 } from 'node:buffer';
import type { IncomingHttpHeaders } from 'node:http';
import { Gathered } from '../kernel/gathered.ts';
import { isRecord } from '../kernel/record.ts';
import type { PlainReading } from './endpoints/endpoint.ts';
import type { Exchange } from './exchange.ts';
import { invalidAnswer, refuseCredential, refusedInStream } from './failures.ts';
import { costHeaders } from './headers.ts';
import type { Intake } from './relay.ts';

export const isJson = ({ 'content-type': type }: IncomingHttpHeaders): boolean =>
  /^application\/(?:[\w.-]+\+)?json\s*(?:;|$)/i.test(type ?? 'application/json');

/** Bytes of an answer that are told on. */
const mostDelivered = 1024 * 1024;

/** Subtitles keep their type. Nothing that a browser would run has it. */
const textType = ({ 'content-type': type = '' }: IncomingHttpHeaders): string =>
  /^(?:text\/(?:plain|vtt|srt)|application\/x-subrip)\s*(?:;\s*charset=[\w-]+\s*)?$/i.test(type)
    ? type
    : 'text/plain; charset=utf-8';

/** An answer in one piece. It is read whole before any of it is sent, because its cost goes into the headers. */
export class PlainAnswer implements Intake {
  readonly #exchange: Exchange;
  readonly #headers: IncomingHttpHeaders;
  readonly #bytes = new Gathered();
  #isWhole = false;
  #body: Buffer = Buffer.alloc(0);
  #reading: PlainReading | undefined;
  #type = 'application/json';

  constructor(exchange: Exchange, headers: IncomingHttpHeaders) {
    this.#exchange = exchange;
    this.#headers = headers;
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

  /** Of an answer that was cut, by what came of it: it was written, and is paid for, whoever saw it. */
  get tokensSoFar(): number {
    return Math.ceil((this.#isWhole ? this.#written().length : this.#bytes.length) / 4);
  }

  get body(): Buffer {
    return this.#body;
  }

  /** All of it: a model may also have called tools. */
  get delivered(): string | undefined {
    return this.#isWhole ? this.#body.subarray(0, mostDelivered).toString() : undefined;
  }

  data(chunk: Buffer): void {
    this.#bytes.add(chunk);
    if (this.#bytes.length > this.#exchange.context.limits.responseBytes) throw invalidAnswer('is too large');
  }

  end(): void {
    this.#isWhole = true;
    const body = this.#bytes.take();
    if (!isUtf8(body)) throw invalidAnswer('is not valid UTF-8');
    const reading = this.#read(body.toString());
    refuseCredential(body, this.#exchange.target.deployment);
    this.#body = this.#exchange.rename?.(body) ?? body;
    this.#reading = reading;
    const { usage, serviceTier } = reading;
    if (typeof serviceTier === 'string') this.#exchange.serviceTier = serviceTier;
    noteUsage(this.#exchange, usage);
  }

  finish(): void {
    const exchange = this.#exchange;
    exchange.answer(
      200,
      [
        'content-type',
        this.#type,
        ...exchange.passedHeaders(this.#headers),
        ...exchange.headers(),
        ...costHeaders(exchange.settlement),
      ],
      this.#body,
    );
    exchange.recall?.keep(this.#type, this.#body);
  }

  completionTokens(): number | Promise<number> {
    if (!this.#isWhole) return this.tokensSoFar;
    const written = this.#written();
    // An empty text is not worth the vocabulary, which takes 50 ms to load.
    return written === '' ? 0 : this.#exchange.context.deps.counter.completionTokens(written);
  }

  #read(text: string): PlainReading {
    const { endpoint, target, asked } = this.#exchange;
    if (endpoint.readText && !isJson(this.#headers)) {
      this.#type = textType(this.#headers);
      return endpoint.readText(text, asked);
    }
    const answer = this.#parse(text);
    const reading = endpoint.readAnswer(answer);
    if (reading) return reading;
    if (answer['error']) throw refusedInStream(answer['error'], target.deployment);
    throw invalidAnswer(`is not what ${endpoint.path} answers`);
  }

  #written(): string {
    return this.#reading?.written() ?? '';
  }

  #parse(text: string): Record<string, unknown> {
    let answer: unknown;
    try {
      answer = JSON.parse(text);
    } catch (cause) {
      throw invalidAnswer('is not JSON', cause);
    }
    if (!isRecord(answer)) throw invalidAnswer('is not a JSON object');
    return answer;
  }
}

/** Takes down what the upstream reports, if it does, and tells the operator when it cannot be so. */
export function noteUsage(exchange: Exchange, reported: unknown): void {
  const { id, endpoint, target, context } = exchange;
  exchange.usage = endpoint.readUsage(reported);
  if (!exchange.usage?.estimated || exchange.hasDoubts) return;
  exchange.hasDoubts = true;
  context.deps.log('warn', 'The upstream reported an implausible number of tokens', {
    requestId: id,
    deployment: target.deployment.id,
    usage: JSON.stringify(reported).slice(0, 512),
  });
}
