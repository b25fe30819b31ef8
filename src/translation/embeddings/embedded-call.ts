import type { EmbeddingModelV4 } from '@ai-sdk/provider';
import { GatewayError } from '../../kernel/errors.ts';
import type { Receiver, UpstreamCall, UpstreamRequest } from '../../proxy/providers/provider.ts';
import { failureOf, tellFailure, unreadable } from '../call-failures.ts';
import { invalid } from '../chat/reading.ts';
import type { Connection } from '../connections.ts';
import { droppedHeader, mayDrop, withoutDropped } from '../dropping.ts';
import { misconfigured } from '../place.ts';
import { ProviderCount } from '../provider-count.ts';
import { fetchBy } from '../upstream-fetch.ts';
import { type ReadEmbeddings, readEmbeddings } from './read-embeddings.ts';

/** Of a model that takes one text a call: so many calls are made for one of the client's, and so many at once. */
const mostCalls = 256;
const mostAtOnce = 8;

export interface Embedding {
  readonly request: UpstreamRequest;
  readonly receiver: Receiver;
  readonly dropParams: boolean;
  connect(): Promise<Connection>;
}

type Options = Omit<Parameters<EmbeddingModelV4['doEmbed']>[0], 'values'>;
type Result = Awaited<ReturnType<EmbeddingModelV4['doEmbed']>>;

/** OpenAI's embeddings of a provider that has them in another protocol: by as many calls as its model needs. */
export class EmbeddedCall implements UpstreamCall {
  readonly #of: Embedding;
  readonly #count: ProviderCount;
  readonly #aborted = new AbortController();
  #results: Result[] = [];

  constructor(of: Embedding) {
    this.#of = of;
    this.#count = new ProviderCount(of.request.deployment);
    this.#run().catch((thrown: unknown) => {
      if (!this.#aborted.signal.aborted) this.#fail(thrown);
      this.#aborted.abort();
    });
  }

  /** An answer comes whole. */
  pause(): void {}

  resume(): void {}

  abort(): void {
    this.#aborted.abort();
  }

  async #run(): Promise<void> {
    const { request, receiver, dropParams } = this.#of;
    const { deployment, upstreamModel, asked } = request;
    // Even a refusal comes after `send` has returned.
    const connection = await this.#of.connect();
    const embedder = connection.embedder?.(upstreamModel);
    if (!embedder) throw misconfigured(deployment, 'its provider embeds nothing');
    const { fields, left } = withoutDropped(asked.fields, deployment);
    const read = readEmbeddings(fields, embedder, {
      dropParams: mayDrop(deployment, dropParams),
      providerOptionsName: connection.optionsName(upstreamModel),
    });
    const { texts } = read;
    if (texts.length > embedder.most * mostCalls) {
      throw invalid(`input has more texts than this model takes: at most ${embedder.most * mostCalls}`, 'input');
    }
    const batches = Array.from({ length: Math.ceil(texts.length / embedder.most) }, (_, index) =>
      texts.slice(index * embedder.most, (index + 1) * embedder.most),
    );
    const sending = { open: connection.open(request), sent: () => receiver.sent(), count: this.#count };
    const model = embedder.model(fetchBy(sending));
    await this.#embed(model, batches, {
      providerOptions: embedder.options(read),
      abortSignal: this.#aborted.signal,
    });
    if (this.#aborted.signal.aborted) return;
    receiver.start(200, { 'content-type': 'application/json', ...droppedHeader([...left, ...read.dropped]) });
    receiver.data(Buffer.from(JSON.stringify(this.#answer(read))));
    receiver.end();
  }

  async #embed(model: EmbeddingModelV4, batches: readonly string[][], options: Options): Promise<void> {
    let next = 0;
    const work = async () => {
      for (let index = next++; index < batches.length && !this.#aborted.signal.aborted; index = next++) {
        const values = batches[index] ?? [];
        // oxlint-disable-next-line no-await-in-loop -- each of the workers makes one call after another
        this.#results[index] = await Promise.resolve(model.doEmbed({ ...options, values })).catch(unreadable);
      }
    };
    await Promise.all(Array.from({ length: Math.min(mostAtOnce, batches.length) }, work));
  }

  #answer({ isBase64 }: ReadEmbeddings) {
    const results = this.#results;
    const tokens = results.reduce((sum, { usage }) => sum + (usage?.tokens ?? Number.NaN), 0);
    const data = results
      .flatMap(({ embeddings }) => embeddings)
      .map((vector, index) => ({
        object: 'embedding',
        index,
        embedding: isBase64 ? Buffer.from(new Float32Array(vector).buffer).toString('base64') : vector,
      }));
    return {
      object: 'list',
      data,
      model: this.#of.request.upstreamModel,
      // Where the provider counts nothing, the gateway does.
      ...(Number.isFinite(tokens) && { usage: { prompt_tokens: tokens, total_tokens: tokens } }),
    };
  }

  /** What was embedded before is paid for, though nobody gets to see it. */
  #fail(thrown: unknown): void {
    const { request, receiver } = this.#of;
    const done = this.#results.filter((each) => each !== undefined).length;
    if (done === 0) return tellFailure(receiver, thrown, { ...request, isAccepted: this.#count.isAccepted });
    const error = failureOf(thrown, request.deployment);
    receiver.start(200, { 'content-type': 'application/json' });
    return receiver.fail(
      new GatewayError('upstream', 'upstream_interrupted', `Not all of the input was embedded. ${error.message}`, {
        cause: error,
      }),
    );
  }
}
