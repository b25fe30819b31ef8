import type { IncomingHttpHeaders } from 'node:http';
import { GatewayError } from '../kernel/errors.ts';
import { Gathered } from '../kernel/gathered.ts';
import type { Units } from '../metering/units.ts';
import { clientGone } from './exchange.ts';
import type { Exchange } from './exchange.ts';
import { connectionFailure, invalidAnswer, refusedByUpstream } from './failures.ts';
import { drainsOnDisconnect } from '../models/deployment.ts';
import type { Places } from './places.ts';
import type { Receiver } from './providers/provider.ts';
import { isJson, PlainAnswer } from './plain-answer.ts';
import { RawAnswer } from './raw-answer.ts';
import { StreamAnswer } from './stream-answer.ts';

/** What takes in an answer: which one it is depends on how the answer begins. */
export interface Intake {
  /** Throws a GatewayError when the answer is not fit to be passed on. */
  data(chunk: Buffer): void;
  /** The upstream ended of itself. Throws when that was too early. */
  end(): void;
  /** Whether nothing more is wanted, though the upstream has not ended. */
  readonly isOver: boolean;
  /** Whether what the upstream has reported is what the whole call used. */
  readonly isUsageFinal: boolean;
  /** Whether at least its input is. */
  readonly isInputFinal?: boolean;
  /** What tools that the provider runs have cost so far, as far as it shows. */
  readonly toolUnits?: Units | undefined;
  /** Whether the model has finished, and only the usage is still to come. */
  readonly awaitsUsage: boolean;
  /** The answer's end, once the call is settled. */
  finish(): void;
  /** The end of an answer that has begun and goes no further; where there is none, the connection is cut. */
  farewell?(error: GatewayError): Buffer | string;
  /** Tokens delivered so far that nobody has counted. */
  completionTokens(): number | Promise<number>;
  /** The same, roughly and at once, for a checkpoint. Zero while nothing was delivered. */
  readonly tokensSoFar: number;
  /** What was written, as text, up to a MiB; undefined where it is none, or cannot be told. Read once the answer is over. */
  readonly delivered?: string | undefined;
  /** Whether the answer is passed on byte for byte, so that nothing of ours may stand in it. */
  readonly isRaw?: boolean;
  /** Of an answer in one piece, as the client gets it. */
  readonly body?: Buffer;
}

export type IntakeFor = (exchange: Exchange, status: number, headers: IncomingHttpHeaders) => Intake;

/** An answer that is read without a client. */
interface ReadingOn {
  /** Whether all of it is, and not only up to its usage. */
  readonly isToEnd: boolean;
  readonly places: Places;
  readonly timer: NodeJS.Timeout;
}

/** Brings one upstream's answer to one client. */
export class Relay implements Receiver {
  readonly #exchange: Exchange;
  readonly #intakeFor: IntakeFor;
  readonly #outcome = Promise.withResolvers<void>();
  #intake: Intake | undefined;
  #isOver = false;
  #wasHeard = false;
  #quietSinceMs = 0;
  /** Whether the upstream may have worked on the call, and bill it. */
  wasSent = false;
  firstByteAt: Date | undefined;
  isPaused = false;
  /** How the upstream's answer began, if it did. */
  answer: 'none' | 'accepted' | 'refused' = 'none';
  #readingOn: ReadingOn | undefined;

  constructor(exchange: Exchange, intake: IntakeFor = intakeFor) {
    this.#exchange = exchange;
    this.#intakeFor = intake;
    exchange.onStop = (reason) => this.#fail(reason);
  }

  /** Fulfilled when all but the end of the answer has been passed on. */
  get whole(): Promise<void> {
    return this.#outcome.promise;
  }

  sent(): void {
    this.wasSent = true;
  }

  start(status: number, headers: IncomingHttpHeaders): void {
    this.firstByteAt = this.#exchange.context.deps.now();
    this.answer = status >= 200 && status <= 299 ? 'accepted' : 'refused';
    if (this.answer === 'accepted') this.#exchange.lease?.answered();
    if (status !== 200) this.#exchange.recall?.stop();
    this.#intake = this.#intakeFor(this.#exchange, status, headers);
  }

  data(chunk: Buffer): void {
    // A whole answer has been taken: whoever goes on talking after its end is hung up on.
    if (this.#isOver) return this.#exchange.upstream?.abort();
    this.#wasHeard = true;
    const intake = this.#intake;
    if (!intake) return;
    try {
      intake.data(chunk);
    } catch (thrown) {
      this.#giveUp(thrown);
    }
    if (this.#readingOn?.isToEnd ? intake.isOver : this.#readingOn && !intake.awaitsUsage) this.stopReading();
    else if (intake.isOver) this.#end();
  }

  end(): void {
    if (this.#isOver) return;
    try {
      this.#intake?.end();
    } catch (thrown) {
      this.#giveUp(thrown);
    }
    if (this.#readingOn) this.stopReading();
    else this.#end();
  }

  /** Of an answer in one piece, as the client gets it. */
  get body(): Buffer | undefined {
    return this.#intake?.body;
  }

  get isRaw(): boolean {
    return this.#intake?.isRaw ?? false;
  }

  get isUsageFinal(): boolean {
    return this.#intake?.isUsageFinal ?? false;
  }

  get isInputFinal(): boolean {
    return this.#intake?.isInputFinal ?? false;
  }

  get toolUnits(): Units | undefined {
    return this.#intake?.toolUnits;
  }

  get delivered(): string | undefined {
    return this.#intake?.delivered;
  }

  farewell(error: GatewayError): Buffer | string | undefined {
    return this.#intake?.farewell?.(error);
  }

  /**
   * The client has left. Where its deployment is set to be drained the answer is read to its end; else, of a stream that has
   * finished, all but the usage is known, and it is read on for that. For a while, and not by many at once. False when
   * there is nothing to wait for: then the upstream is to be hung up on.
   */
  readOn(): boolean {
    if (this.#isOver) return false;
    const { context, target } = this.#exchange;
    const { limits, usageWaits, drains } = context;
    const isDrained = drainsOnDisconnect(target.deployment) && this.wasSent && this.answer !== 'refused';
    if (isDrained && drains.take()) this.#beginReading({ isToEnd: true, places: drains, ms: limits.drainMs });
    else if (this.#intake?.awaitsUsage && usageWaits.take())
      this.#beginReading({ isToEnd: false, places: usageWaits, ms: limits.usageMs });
    return this.#readingOn !== undefined;
  }

  #beginReading({ ms, ...how }: Omit<ReadingOn, 'timer'> & { readonly ms: number }): void {
    this.#readingOn = { ...how, timer: setTimeout(() => this.stopReading(), ms) };
    if (this.isPaused) this.#exchange.upstream?.resume();
    this.isPaused = false;
  }

  /** Ends what is read on without a client. */
  stopReading(): void {
    if (!this.#readingOn) return;
    this.#fail(clientGone);
    this.#exchange.upstream?.abort();
  }

  fail(error: Error): void {
    this.#fail(error instanceof GatewayError ? error : connectionFailure(error));
  }

  finish(): void {
    this.#intake?.finish();
  }

  completionTokens(): number | Promise<number> {
    const tokens = this.#intake?.completionTokens() ?? 0;
    if (typeof tokens === 'number') return tokens;
    // A tokenizer that fails must not be the reason that a call is never booked.
    return tokens.catch(() => this.#intake?.tokensSoFar ?? 0);
  }

  /** Called every second or so, which spares a timer for each stream and a look at the clock for each chunk. */
  tick(nowMs: number): void {
    const { response, context } = this.#exchange;
    if (this.#isOver || !this.#exchange.isAnswering) return;
    if (this.#wasHeard) {
      this.#wasHeard = false;
      this.#quietSinceMs = nowMs;
      this.#exchange.checkpoint(this.#intake?.tokensSoFar ?? 0);
    } else if (nowMs - this.#quietSinceMs >= context.limits.commentMs && !this.isPaused && !this.isRaw) {
      this.#quietSinceMs = nowMs;
      response.write(': keep-alive\n\n');
    }
  }

  #giveUp(thrown: unknown): void {
    this.#fail(GatewayError.from(thrown));
    this.#exchange.upstream?.abort();
  }

  #end(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#outcome.resolve();
    // A client that is slow with the last bytes must not keep the upstream's connection from being used again.
    if (this.isPaused) this.#exchange.upstream?.resume();
  }

  #fail(error: GatewayError): void {
    if (this.#readingOn) {
      clearTimeout(this.#readingOn.timer);
      this.#readingOn.places.release();
      this.#readingOn = undefined;
    }
    if (this.#isOver) return;
    this.#isOver = true;
    this.#outcome.reject(error);
  }
}

function intakeFor(exchange: Exchange, status: number, headers: IncomingHttpHeaders): Intake {
  if (status < 200 || status > 299) return new ErrorAnswer(exchange, status, headers);
  const { endpoint } = exchange;
  if (endpoint.isRaw?.(exchange.asked) && (endpoint.rawType !== undefined || !isJson(headers)))
    return new RawAnswer(exchange, headers);
  if (!exchange.asked.stream || exchange.endpoint.isRaw) return new PlainAnswer(exchange, headers);
  return new StreamAnswer(exchange, headers);
}

/** An upstream's refusal: read as far as it is worth reading, and thrown. */
class ErrorAnswer implements Intake {
  readonly #exchange: Exchange;
  readonly #status: number;
  readonly #headers: IncomingHttpHeaders;
  readonly #bytes = new Gathered();

  constructor(exchange: Exchange, status: number, headers: IncomingHttpHeaders) {
    this.#exchange = exchange;
    this.#status = status;
    this.#headers = headers;
  }

  get isOver(): boolean {
    return false;
  }

  get isUsageFinal(): boolean {
    return false;
  }

  get awaitsUsage(): boolean {
    return false;
  }

  get tokensSoFar(): number {
    return 0;
  }

  data(chunk: Buffer): void {
    this.#bytes.add(chunk);
    if (this.#bytes.length > this.#exchange.context.limits.errorBytes) throw this.#refusal('');
  }

  end(): void {
    throw this.#refusal(this.#bytes.take().toString());
  }

  finish(): void {
    throw invalidAnswer('was an error');
  }

  completionTokens(): number {
    return 0;
  }

  #refusal(body: string): GatewayError {
    const { deployment } = this.#exchange.target;
    return refusedByUpstream({ status: this.#status, headers: this.#headers, body, deployment });
  }
}
