import { setTimeout as wait } from 'node:timers/promises';
import { isRecord } from '../../kernel/record.ts';
import type { CallType } from '../../metering/call.ts';
import { notServed } from './not-served.ts';
import type { Destination, Provider, Receiver, UpstreamCall, UpstreamRequest } from './provider.ts';

/** The kinds of calls that it has answers for. */
const played: ReadonlySet<CallType> = new Set(['chat_completion', 'text_completion']);

export const plays = ({ endpoint }: Pick<Destination, 'endpoint'>): boolean => played.has(endpoint.callType);

/** An upstream that is not there: it makes its answers up, so that the gateway can be tried without an account. */
export const mock: Provider = {
  send(request, receiver) {
    if (!plays(request)) throw notServed(request.endpoint, [request.deployment]);
    const call = new MockCall(request, receiver);
    call.begin();
    return call;
  },
};

interface Script {
  readonly text: string;
  readonly latencyMs: number;
  readonly intervalMs: number;
  readonly promptTokens: number;
  readonly completionTokens: number;
  readonly errorStatus: number;
}

const textOf = (content: unknown): string => {
  if (typeof content === 'string') return content;
  if (!Array.isArray(content)) return '';
  return content
    .map((part: unknown) => (isRecord(part) && typeof part['text'] === 'string' ? part['text'] : ''))
    .join('');
};

function messagesOf({ asked }: UpstreamRequest): Record<string, unknown>[] {
  const { messages, prompt } = asked.fields;
  if (prompt !== undefined) return [{ role: 'user', content: prompt }];
  return Array.isArray(messages) ? messages.filter(isRecord) : [];
}

/** A rough count, which only has to be steady: four characters to a token. */
const countTokens = (text: string): number => Math.max(1, Math.ceil(text.length / 4));

function scriptFor(request: UpstreamRequest): Script {
  const { info, params } = request.deployment;
  const number = (name: string, otherwise: number): number => {
    const value = params[name] ?? info[name];
    return typeof value === 'number' && value >= 0 ? value : otherwise;
  };
  const messages = messagesOf(request);
  const fixed = params['mock_response'] ?? info['mock_response'];
  const echoed = textOf(messages.findLast(({ role }) => role === 'user')?.['content']);
  const text = typeof fixed === 'string' ? fixed : echoed || 'Hello! This is a mock answer.';
  return {
    text,
    latencyMs: number('mock_latency_ms', 0),
    intervalMs: number('mock_chunk_interval_ms', 0),
    promptTokens: number('mock_prompt_tokens', countTokens(messages.map(({ content }) => textOf(content)).join(' '))),
    completionTokens: number('mock_completion_tokens', countTokens(text)),
    errorStatus: number('mock_error_status', 0),
  };
}

class MockCall implements UpstreamCall {
  readonly #request: UpstreamRequest;
  readonly #receiver: Receiver;
  readonly #script: Script;
  readonly #aborted = new AbortController();
  readonly #created = Math.floor(Date.now() / 1_000);
  #resumed: PromiseWithResolvers<void> | undefined;

  constructor(request: UpstreamRequest, receiver: Receiver) {
    this.#request = request;
    this.#receiver = receiver;
    this.#script = scriptFor(request);
  }

  begin(): void {
    this.#play().catch((error: unknown) => {
      if (!this.#aborted.signal.aborted) this.#receiver.fail(error instanceof Error ? error : new Error(String(error)));
    });
  }

  pause(): void {
    this.#resumed ??= Promise.withResolvers();
  }

  resume(): void {
    this.#resumed?.resolve();
    this.#resumed = undefined;
  }

  abort(): void {
    this.#aborted.abort();
    this.resume();
  }

  async #play(): Promise<void> {
    const { latencyMs, errorStatus } = this.#script;
    // Even at once means after `send` has returned.
    await (latencyMs > 0 ? wait(latencyMs, undefined, { signal: this.#aborted.signal }) : undefined);
    if (this.#aborted.signal.aborted) return;
    this.#receiver.sent();
    if (errorStatus > 0) this.#sendWhole(errorStatus, errorBody(errorStatus));
    else if (this.#request.asked.stream) await this.#stream();
    else this.#sendWhole(200, this.#completion());
  }

  #sendWhole(status: number, body: object): void {
    this.#receiver.start(status, { 'content-type': 'application/json' });
    this.#receiver.data(Buffer.from(JSON.stringify(body)));
    this.#receiver.end();
  }

  async #stream(): Promise<void> {
    this.#receiver.start(200, { 'content-type': 'text/event-stream' });
    // A chunk for each word, with the space before it, as a tokenizer would cut them.
    const words = this.#script.text.match(/\s*\S+|\s+$/g) ?? [];
    if (!this.#isText) this.#event(this.#chunk({ ...opening }, null));
    for (const word of words) {
      await this.#breathe();
      if (this.#aborted.signal.aborted) return;
      this.#event(this.#chunk({ content: word }, null));
    }
    this.#event(this.#chunk({}, 'stop'));
    // The gateway asks for it in every stream, and hides it from a client that did not.
    this.#event({ ...this.#frame(this.#chunkObject), choices: [], usage: this.#usage() });
    this.#receiver.data(Buffer.from('data: [DONE]\n\n'));
    this.#receiver.end();
  }

  async #breathe(): Promise<void> {
    const { intervalMs } = this.#script;
    if (intervalMs > 0) await wait(intervalMs, undefined, { signal: this.#aborted.signal });
    await this.#resumed?.promise;
  }

  #event(data: object): void {
    this.#receiver.data(Buffer.from(`data: ${JSON.stringify(data)}\n\n`));
  }

  #completion(): object {
    const { text } = this.#script;
    const message = { role: 'assistant', content: text, refusal: null, annotations: [] };
    const choice = { index: 0, ...(this.#isText ? { text } : { message }), logprobs: null, finish_reason: 'stop' };
    return {
      ...this.#frame(this.#isText ? 'text_completion' : 'chat.completion'),
      choices: [choice],
      usage: this.#usage(),
    };
  }

  #chunk(delta: { readonly content?: string }, finishReason: string | null): object {
    const told = this.#isText ? { text: delta.content ?? '' } : { delta };
    const choice = { index: 0, ...told, logprobs: null, finish_reason: finishReason };
    return { ...this.#frame(this.#chunkObject), choices: [choice], usage: null };
  }

  get #isText(): boolean {
    return this.#request.endpoint.callType === 'text_completion';
  }

  get #chunkObject(): string {
    return this.#isText ? 'text_completion' : 'chat.completion.chunk';
  }

  #frame(object: string): object {
    return {
      id: `chatcmpl-${this.#request.id}`,
      object,
      created: this.#created,
      model: this.#request.upstreamModel,
      service_tier: 'default',
      system_fingerprint: 'fp_mock',
    };
  }

  #usage(): object {
    const { promptTokens, completionTokens } = this.#script;
    return {
      prompt_tokens: promptTokens,
      completion_tokens: completionTokens,
      total_tokens: promptTokens + completionTokens,
      prompt_tokens_details: { cached_tokens: 0, audio_tokens: 0 },
      completion_tokens_details: {
        reasoning_tokens: 0,
        audio_tokens: 0,
        accepted_prediction_tokens: 0,
        rejected_prediction_tokens: 0,
      },
    };
  }
}

const opening = { role: 'assistant', content: '', refusal: null };

const errorBody = (status: number): object => ({
  error: { message: `The mock model was told to fail with ${status}`, type: 'mock_error', param: null, code: null },
});
