import { isUtf8 } from 'node:buffer';
import type { IncomingHttpHeaders } from 'node:http';
import type { Usage } from '../metering/usage.ts';
import { costHeaders } from '../proxy/headers.ts';
import { HeldBack } from '../proxy/held-back.ts';
import type { Exchange } from '../proxy/exchange.ts';
import type { Intake } from '../proxy/relay.ts';
import { secretsOf } from '../proxy/secrets.ts';
import { clientHeaders } from './passed-headers.ts';
import { readBedrockHeaders, type DialectName } from './usage-readers.ts';
import { UsageScanner } from './usage-scanner.ts';

/** An answer that says it is no longer than this is kept until it is booked, so that its cost can be in its headers. */
const mostKept = 256 * 1024;

export interface Reading {
  /** How usage is reported; undefined where none is looked for. */
  readonly usage: DialectName | undefined;
  /** The most that can have been written, where that is known. */
  readonly maxTokens: number | undefined;
}

/** An answer that goes on as it comes, whatever it is; what was used is read off it on the way. */
export class PassedAnswer implements Intake {
  readonly isRaw = true;
  readonly isOver = false;
  readonly awaitsUsage = false;
  readonly #exchange: Exchange;
  readonly #status: number;
  readonly #headers: IncomingHttpHeaders;
  readonly #scanner: UsageScanner | undefined;
  readonly #maxTokens: number;
  readonly #heldBack: HeldBack;
  /** What is kept back; undefined where the answer goes on at once. */
  readonly #kept: Buffer[] | undefined;
  #length = 0;
  #isWhole = false;

  constructor(
    exchange: Exchange,
    { status, headers }: { status: number; headers: IncomingHttpHeaders },
    { usage, maxTokens }: Reading,
  ) {
    this.#exchange = exchange;
    this.#status = status;
    this.#headers = headers;
    this.#maxTokens = maxTokens ?? Number.POSITIVE_INFINITY;
    this.#heldBack = new HeldBack(exchange.target.deployment);
    const isAccepted = status >= 200 && status <= 299;
    if (usage && isAccepted) this.#scanner = new UsageScanner(usage, headers['content-type']);
    const announced = Number(headers['content-length'] ?? Number.NaN);
    const isBodiless = status === 204 || status === 304 || exchange.request.method === 'HEAD';
    if (isBodiless || announced <= mostKept) this.#kept = [];
    else this.#begin();
    if (usage === 'bedrock' && isAccepted) exchange.usage = readBedrockHeaders(headers);
  }

  get status(): number {
    return this.#status;
  }

  get isUsageFinal(): boolean {
    return this.#isWhole && this.#exchange.usage !== undefined;
  }

  get tokensSoFar(): number {
    return Math.min(this.#scanner?.tokens ?? 0, this.#maxTokens);
  }

  completionTokens(): number {
    return this.tokensSoFar;
  }

  /** Of what goes on as it comes, nothing is kept. */
  get delivered(): string | undefined {
    const bytes = this.#kept && this.#isWhole ? Buffer.concat(this.#kept) : undefined;
    return bytes && isUtf8(bytes) ? bytes.toString() : undefined;
  }

  data(chunk: Buffer): void {
    this.#length += chunk.length;
    const bytes = this.#heldBack.take(chunk);
    this.#scanner?.push(chunk);
    const usage = this.#scanner?.usage;
    if (usage) this.#note(usage);
    if (!this.#kept) this.#pass(bytes);
    else if (this.#length <= mostKept) this.#kept.push(bytes);
  }

  end(): void {
    this.#isWhole = true;
  }

  finish(): void {
    const exchange = this.#exchange;
    const rest = this.#heldBack.rest();
    if (!this.#kept) return exchange.end(rest);
    const headers = [...this.#passed(), ...exchange.headers(), ...costHeaders(exchange.settlement)];
    if (this.#status === 204 || this.#status === 304 || exchange.request.method === 'HEAD') {
      exchange.response.writeHead(this.#status, headers);
      return exchange.end();
    }
    return exchange.answer(this.#status, headers, Buffer.concat([...this.#kept, rest]));
  }

  #note(usage: Usage): void {
    const exchange = this.#exchange;
    exchange.usage = usage;
    if (!usage.estimated || exchange.hasDoubts) return;
    exchange.hasDoubts = true;
    exchange.context.deps.log('warn', 'The upstream reported an implausible number of tokens', {
      requestId: exchange.id,
      deployment: exchange.target.deployment.name,
    });
  }

  #pass(bytes: Buffer): void {
    const { response, upstream, relay } = this.#exchange;
    if (bytes.length === 0 || response.destroyed || response.write(bytes) || !relay || relay.isPaused) return;
    relay.isPaused = true;
    upstream?.pause();
    this.#exchange.limitStall();
    response.once('drain', () => {
      relay.isPaused = false;
      response.setTimeout(0);
      upstream?.resume();
    });
  }

  #begin(): void {
    const { response } = this.#exchange;
    // nginx would otherwise gather a stream until its buffer is full.
    response.writeHead(this.#status, [...this.#passed(), 'x-accel-buffering', 'no', ...this.#exchange.headers()]);
    response.flushHeaders();
  }

  #passed(): string[] {
    const { hasOwnLimits, target } = this.#exchange;
    return clientHeaders(this.#headers, { withLimits: !hasOwnLimits, secrets: secretsOf(target.deployment) });
  }
}
