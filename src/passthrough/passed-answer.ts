import { isUtf8 } from 'node:buffer';
import type { IncomingHttpHeaders } from 'node:http';
import type { GatewayError } from '../kernel/errors.ts';
import type { Usage } from '../metering/usage.ts';
import { costHeaders } from '../proxy/headers.ts';
import { HeldBack } from '../proxy/held-back.ts';
import { isJson } from '../proxy/plain-answer.ts';
import type { Exchange } from '../proxy/exchange.ts';
import type { Intake } from '../proxy/relay.ts';
import { secretsOf } from '../proxy/secrets.ts';
import { codingOf, type CopyReader, DecodedCopy } from './decoded-copy.ts';
import { clientHeaders } from './passed-headers.ts';
import { tierOfHeaders } from './served-tier.ts';
import { readBedrockHeaders, type DialectName } from './usage-readers.ts';
import { UsageScanner } from './usage-scanner.ts';

/**
 * An answer of no more than this is kept until it is booked, so that its cost can be in its headers: one that says how long it
 * is, and one in JSON that is no stream.
 */
const mostKept = 256 * 1024;
/** Of an answer that is inflated beside, so much may wait to be read before its upstream waits too. */
const mostWaiting = 256 * 1024;

export interface Reading {
  /** How usage is reported; undefined where none is looked for. */
  readonly usage: DialectName | undefined;
  /** Whether what the call costs depends on the tier that the answer names. */
  readonly readsTier: boolean;
  /** The most that can have been written, where that is known. */
  readonly maxTokens: number | undefined;
}

/** An answer that goes on as it comes, whatever it is; what was used is read off it on the way. */
export class PassedAnswer implements Intake, CopyReader {
  readonly isRaw = true;
  readonly isOver = false;
  readonly awaitsUsage = false;
  readonly #exchange: Exchange;
  readonly #status: number;
  readonly #headers: IncomingHttpHeaders;
  readonly #scanner: UsageScanner | undefined;
  readonly #maxTokens: number;
  readonly #readsTier: boolean;
  readonly #heldBack: HeldBack;
  /** What is kept back; undefined where the answer goes on at once. */
  #kept: Buffer[] | undefined;
  /** What reads an answer that goes on compressed; only what it has read goes on. */
  readonly #copy: DecodedCopy | undefined;
  readonly #waiting: Buffer[] = [];
  /** Of these, so many have been read. */
  #read = 0;
  #waitingLength = 0;
  /** Who wants the upstream to wait: the client, that which inflates, or both. */
  readonly #holders = new Set<'client' | 'copy'>();
  #length = 0;
  #isWhole = false;

  constructor(
    exchange: Exchange,
    { status, headers }: { status: number; headers: IncomingHttpHeaders },
    { usage, readsTier, maxTokens }: Reading,
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
    const isOnePiece = Number.isNaN(announced) && usage !== undefined && !exchange.asked.stream && isJson(headers);
    if (isBodiless || isOnePiece || announced <= mostKept) this.#kept = [];
    const coding = isBodiless ? undefined : codingOf(headers['content-encoding']);
    if (coding !== undefined) this.#copy = new DecodedCopy(coding, this);
    if (!this.#kept) this.#begin();
    if (usage === 'bedrock' && isAccepted) exchange.usage = readBedrockHeaders(headers);
    this.#readsTier = readsTier && usage !== undefined && isAccepted;
    if (this.#readsTier) exchange.serviceTier = tierOfHeaders(headers);
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

  completionTokens(): number | Promise<number> {
    return this.#copy ? this.#copy.end().then(() => this.tokensSoFar) : this.tokensSoFar;
  }

  /** Of what goes on as it comes, nothing is kept. */
  get delivered(): string | undefined {
    const bytes = this.#kept && this.#isWhole ? Buffer.concat(this.#kept) : undefined;
    return bytes && isUtf8(bytes) ? bytes.toString() : undefined;
  }

  data(chunk: Buffer): void {
    this.#length += chunk.length;
    if (!this.#copy) return this.#take(this.#look(chunk));
    this.#waiting.push(chunk);
    this.#waitingLength += chunk.length;
    this.#copy.write(chunk, () => {
      this.#read++;
      this.#release();
    });
    if (this.#waitingLength > mostWaiting) this.#hold('copy');
  }

  end(): void {
    this.#isWhole = true;
  }

  /** Waits until a compressed answer is read. @throws GatewayError when it is not fit to be passed on */
  get whole(): Promise<void> | undefined {
    return this.#copy && this.#endCopy(this.#copy);
  }

  finish(): void {
    const exchange = this.#exchange;
    const rest = this.#copy ? Buffer.alloc(0) : this.#heldBack.rest();
    if (!this.#kept) return exchange.end(rest);
    const headers = [...this.#passed(), ...exchange.headers(), ...costHeaders(exchange.settlement)];
    if (this.#status === 204 || this.#status === 304 || exchange.request.method === 'HEAD') {
      exchange.response.writeHead(this.#status, headers);
      return exchange.end();
    }
    return exchange.answer(this.#status, headers, Buffer.concat([...this.#kept, rest]));
  }

  /** Of the copy: what an answer is, inflated. */
  inflated(bytes: Buffer): void {
    this.#look(bytes);
  }

  /** Of the copy: it cannot be read on. */
  failed(error: GatewayError): void {
    this.#exchange.relay?.fail(error);
    this.#exchange.upstream?.abort();
  }

  async #endCopy(copy: DecodedCopy): Promise<void> {
    await copy.end();
    if (copy.failure) throw copy.failure;
    this.#passWaiting(this.#waiting.length);
  }

  /** @returns what of these bytes, and of those held back before them, may go on */
  #look(bytes: Buffer): Buffer {
    const passed = this.#heldBack.take(bytes);
    this.#scanner?.push(bytes);
    const usage = this.#scanner?.usage;
    if (usage) this.#note(usage);
    if (this.#readsTier) this.#exchange.serviceTier = this.#scanner?.tier ?? this.#exchange.serviceTier;
    return passed;
  }

  #take(bytes: Buffer): void {
    if (!this.#kept) return this.#pass(bytes);
    this.#kept.push(bytes);
    if (this.#length > mostKept) this.#passKept(this.#kept);
  }

  /** It is longer than it was thought to be. */
  #passKept(kept: readonly Buffer[]): void {
    this.#kept = undefined;
    if (this.#exchange.response.destroyed) return;
    this.#begin();
    this.#pass(Buffer.concat(kept));
  }

  /** What was read goes on, unless it ends with what may be the beginning of a credential. */
  #release(): void {
    if (this.#heldBack.rest().length === 0) this.#passWaiting(this.#read);
    if (this.#waitingLength <= mostWaiting) this.#letGo('copy');
  }

  #passWaiting(count: number): void {
    this.#read -= count;
    for (const chunk of this.#waiting.splice(0, count)) {
      this.#waitingLength -= chunk.length;
      this.#take(chunk);
    }
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
    const { response } = this.#exchange;
    if (bytes.length === 0 || response.destroyed || response.write(bytes) || this.#holders.has('client')) return;
    this.#hold('client');
    this.#exchange.limitStall();
    response.once('drain', () => {
      response.setTimeout(0);
      this.#letGo('client');
    });
  }

  #hold(holder: 'client' | 'copy'): void {
    const { relay, upstream } = this.#exchange;
    this.#holders.add(holder);
    if (!relay || relay.isPaused) return;
    relay.isPaused = true;
    upstream?.pause();
  }

  #letGo(holder: 'client' | 'copy'): void {
    const { relay, upstream } = this.#exchange;
    if (!this.#holders.delete(holder) || this.#holders.size > 0 || !relay?.isPaused) return;
    relay.isPaused = false;
    upstream?.resume();
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
