import type { LanguageModelV4, LanguageModelV4CallOptions, SharedV4Headers, SharedV4Warning } from '@ai-sdk/provider';
import type { IncomingHttpHeaders } from 'node:http';
import type { Counted, Receiver, UpstreamCall, UpstreamRequest } from '../proxy/providers/provider.ts';
import { partFailure, tellFailure, unreadable } from './call-failures.ts';
import type { AnswerNames, ClientProtocol } from './client-protocol.ts';
import type { Connection } from './connections.ts';
import { isEnded } from './ending.ts';
import { invalidAnswer } from '../proxy/failures.ts';
import { droppedHeader, mayDrop, withoutDropped } from './dropping.ts';
import { type Expressible, ignoredIn } from './ignored.ts';
import { ProviderCount } from './provider-count.ts';
import { requireReachable } from './reachable.ts';
import { limited, withLimit } from './token-limit.ts';
import { needsRaw, UnreadParts, withRefusal } from './unread.ts';
import { fetchBy } from './upstream-fetch.ts';

export interface Translation {
  readonly request: UpstreamRequest;
  readonly receiver: Receiver;
  readonly protocol: ClientProtocol;
  /** Whether what cannot be expressed is left out, where the deployment does not say. */
  readonly dropParams: boolean;
  connect(): Promise<Connection & { readonly expressible: Expressible }>;
}

/** A call as a package takes it, and what was left out of it. */
interface Prepared {
  readonly model: LanguageModelV4;
  readonly options: LanguageModelV4CallOptions;
  readonly dropped: readonly string[];
}

/** A call in one protocol of a provider with another: the provider's package is called, and its answer written anew. */
export class TranslatedCall implements UpstreamCall {
  readonly #of: Translation;
  readonly #count: ProviderCount;
  readonly #aborted = new AbortController();
  #resumed: PromiseWithResolvers<void> | undefined;

  constructor(of: Translation) {
    this.#of = of;
    this.#count = new ProviderCount(of.request.deployment);
    this.#run().catch((thrown: unknown) => {
      if (!this.#isAborted) tellFailure(of.receiver, thrown, { ...of.request, isAccepted: this.#count.isAccepted });
    });
  }

  get counted(): Counted | undefined {
    return this.#count.counted;
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

  get #isAborted(): boolean {
    return this.#aborted.signal.aborted;
  }

  async #run(): Promise<void> {
    const { request } = this.#of;
    // Even a refusal comes after `send` has returned.
    const connection = await this.#of.connect();
    const prepared = await this.#prepare(connection);
    if (this.#isAborted) return;
    const names = { id: request.id, model: request.upstreamModel, created: Math.floor(Date.now() / 1_000) };
    await (request.asked.stream ? this.#stream(prepared, names) : this.#generate(prepared, names));
  }

  async #prepare(connection: Awaited<ReturnType<Translation['connect']>>): Promise<Prepared> {
    const { request, protocol, receiver, dropParams } = this.#of;
    const { deployment, upstreamModel, asked } = request;
    const drops = mayDrop(deployment, dropParams);
    const { fields, left } = withoutDropped(asked.fields, deployment);
    const read = protocol.read(fields, {
      dropParams: drops,
      providerOptionsName: connection.optionsName(upstreamModel),
    });
    const options = withLimit(read.options, deployment);
    const send = limited(connection.open(request), asked.maxCompletionTokens);
    const model = connection.model(
      upstreamModel,
      fetchBy({ open: send, sent: () => receiver.sent(), count: this.#count }),
    );
    await requireReachable(options.prompt, model);
    if (!drops) {
      await connection.expressible.require(upstreamModel, options, (fetch) => connection.model(upstreamModel, fetch));
    }
    const { signal: abortSignal } = this.#aborted;
    return { model, options: { ...options, abortSignal }, dropped: [...left, ...read.dropped] };
  }

  async #generate({ model, options, dropped }: Prepared, names: AnswerNames): Promise<void> {
    const { receiver, protocol } = this.#of;
    const result = withRefusal(await Promise.resolve(model.doGenerate(options)).catch(unreadable));
    if (this.#isAborted) return;
    this.#count.tell(result.usage);
    if (!isEnded(result.finishReason, this.#of.request.deployment))
      throw invalidAnswer('does not say that it is whole');
    const { headers } = result.response ?? {};
    // Before the answer is written, which may fail: the upstream has given one, and is paid for it.
    receiver.start(200, headersFor('application/json', headers, [...dropped, ...ignoredIn(result.warnings)]));
    receiver.data(Buffer.from(JSON.stringify(protocol.answer(result, names))));
    receiver.end();
  }

  async #stream({ model, options, dropped }: Prepared, names: AnswerNames): Promise<void> {
    const { receiver, protocol, request } = this.#of;
    const includeRawChunks = needsRaw(request.deployment);
    const asked = { ...options, includeRawChunks };
    const { stream, response } = await Promise.resolve(model.doStream(asked)).catch(unreadable);
    const unread = new UnreadParts(request.deployment);
    const writer = protocol.events(names);
    const reader = stream.getReader();
    let hasBegun = false;
    const begin = (warnings: readonly SharedV4Warning[]) => {
      if (hasBegun) return;
      hasBegun = true;
      const left = [...dropped, ...ignoredIn(warnings)];
      receiver.start(200, headersFor('text/event-stream', response?.headers, left));
    };
    for (;;) {
      const { done, value } = await reader.read().catch(unreadable);
      if (this.#isAborted) return;
      // A stream that was cut is told of as finished too, and that is not passed on.
      if (done || (value.type === 'finish' && value.finishReason.raw === undefined)) break;
      const part = unread.read(value);
      // The package for Bedrock tells this before anything has come.
      if (part.type === 'response-metadata' && request.deployment.provider === 'bedrock') continue;
      if (part.type === 'finish') this.#count.tell(part.usage);
      begin(part.type === 'stream-start' ? part.warnings : []);
      if (part.type === 'error') throw partFailure(part.error, request.deployment);
      this.#tell(writer.next(part));
      await this.#resumed?.promise;
      if (this.#isAborted) return;
    }
    begin([]);
    this.#tell(writer.end());
    receiver.end();
  }

  #tell(events: string): void {
    if (events !== '') this.#of.receiver.data(Buffer.from(events));
  }
}

function headersFor(
  type: string,
  headers: SharedV4Headers | undefined,
  dropped: readonly string[],
): IncomingHttpHeaders {
  const { 'content-length': _, 'x-litellm-dropped-params': _dropped, ...rest } = headers ?? {};
  return { ...rest, 'content-type': type, ...droppedHeader(dropped) };
}
