import type { LanguageModelV4Usage } from '@ai-sdk/provider';
import type { IncomingHttpHeaders } from 'node:http';
import type { Usage } from '../metering/usage.ts';
import type { Deployment } from '../models/deployment.ts';
import type { DialectName } from '../passthrough/usage-readers.ts';
import { UsageScanner } from '../passthrough/usage-scanner.ts';
import { readTokens } from '../proxy/endpoints/token-usage.ts';
import type { Counted } from '../proxy/providers/provider.ts';
import { usageFor } from './chat/usage.ts';

const dialects: Readonly<Record<string, DialectName>> = {
  anthropic: 'anthropic',
  bedrock: 'bedrock',
  cohere: 'cohere',
  gemini: 'gemini',
  vertex_ai: 'vertex',
};

/**
 * What a provider has counted of a call. Its package tells that with the whole answer, or at a stream's end: of what it
 * cannot read, and of what was cut, nothing. So it is read off the bytes as well.
 */
export class ProviderCount {
  readonly #dialect: DialectName;
  #scanner: UsageScanner | undefined;
  #told: Usage | undefined;
  #isStream = false;
  #isOver = false;

  constructor({ provider }: Pick<Deployment, 'provider'>) {
    this.#dialect = dialects[provider] ?? 'openai';
  }

  /** Whether the provider has taken the call, and has begun to answer it. */
  get isAccepted(): boolean {
    return this.#scanner !== undefined;
  }

  get counted(): Counted | undefined {
    if (this.#told) return { usage: this.#told, isWhole: true };
    const usage = this.#scanner?.usage;
    if (!usage) return undefined;
    // A stream that was cut looks over as well.
    return { usage, isWhole: this.#isOver && !this.#isStream };
  }

  begin(status: number, { 'content-type': type }: IncomingHttpHeaders): void {
    if (status < 200 || status > 299) return;
    this.#isStream = /^(?:text\/event-stream|application\/vnd\.amazon\.eventstream)\b/i.test(type ?? '');
    this.#scanner = new UsageScanner(this.#dialect, type);
  }

  data(chunk: Buffer): void {
    this.#scanner?.push(chunk);
  }

  end(): void {
    this.#isOver = true;
  }

  /** The package says what the whole call has used. */
  tell(usage: LanguageModelV4Usage): void {
    this.#told = readTokens(usageFor(usage));
  }
}
