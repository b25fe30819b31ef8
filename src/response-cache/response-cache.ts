import type { CallType } from '../metering/call.ts';
import { AnswerSeal, type KeptAnswer } from './answer-seal.ts';

export interface ResponseCacheSettings {
  /** Where answers are kept: in each process, or in a Redis that all of them share. */
  readonly type: 'local' | 'redis';
  /** Whether a call has to ask for it with `cache: {"use-cache": true}`. */
  readonly isOptIn: boolean;
  readonly ttlMs: number;
  readonly callTypes: ReadonlySet<CallType>;
  /** Keeps apart the answers of several gateways; a call may name a further one within it. */
  readonly namespace: string;
  /** Whether one tenant may be given what another was answered. */
  readonly isShared: boolean;
  /** Bytes of one answer at most; larger ones are not kept. */
  readonly answerBytes: number;
}

/** Texts by name, for a while. Nothing of it fails: what cannot be had is not there, and what cannot be kept is not kept. */
export interface AnswerStore extends Partial<AsyncDisposable> {
  get(name: string): Promise<string | undefined>;
  set(name: string, text: string, ttlMs: number): Promise<void>;
  /** Says how many there were. @throws GatewayError 503 where the store does not answer */
  delete(names: readonly string[]): Promise<number>;
  /** @throws GatewayError 503 */
  clear(): Promise<void>;
  /** @throws GatewayError 503 */
  ping(): Promise<void>;
}

/** Answers of upstreams, kept for whoever asks the very same again. */
export class ResponseCache {
  readonly settings: ResponseCacheSettings;
  readonly #store: AnswerStore;
  readonly #seal: AnswerSeal;

  constructor(settings: ResponseCacheSettings, store: AnswerStore, secret: Buffer | string) {
    this.settings = settings;
    this.#store = store;
    this.#seal = new AnswerSeal(secret);
  }

  /** @param files what is asked beside the parts, byte for byte */
  nameOf(parts: readonly string[], files?: Buffer): string {
    return this.#seal.nameOf([this.settings.namespace, ...parts], files);
  }

  async get(name: string, now: Date, maxAgeMs = Number.POSITIVE_INFINITY): Promise<KeptAnswer | undefined> {
    const text = await this.#store.get(name);
    // Whoever may write to the store may have put anything there. In base64 bytes take a third more.
    if (text === undefined || text.length > this.settings.answerBytes * 1.4 + 4_096) return undefined;
    const answer = this.#seal.open(name, text);
    return answer && now.getTime() - answer.storedAt <= maxAgeMs ? answer : undefined;
  }

  async set(name: string, answer: KeptAnswer, ttlMs = this.settings.ttlMs): Promise<void> {
    if (ttlMs <= 0 || answer.body.length > this.settings.answerBytes) return;
    await this.#store.set(name, this.#seal.seal(name, answer), ttlMs);
  }

  delete(names: readonly string[]): Promise<number> {
    return this.#store.delete(names);
  }

  clear(): Promise<void> {
    return this.#store.clear();
  }

  ping(): Promise<void> {
    return this.#store.ping();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#store[Symbol.asyncDispose]?.();
  }
}
