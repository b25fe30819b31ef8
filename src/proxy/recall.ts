import { canonicalFields, tenantOf } from '../response-cache/answer-name.ts';
import { type CacheControls, withCacheHeader } from '../response-cache/cache-controls.ts';
import type { KeptAnswer } from '../response-cache/answer-seal.ts';
import { Gathered } from '../kernel/gathered.ts';
import type { Deployment } from '../models/deployment.ts';
import type { ResponseCache } from '../response-cache/response-cache.ts';
import type { Exchange } from './exchange.ts';
import { costHeaders } from './headers.ts';
import type { Step } from './pipeline.ts';
import { streamHeaders } from './stream-answer.ts';
import { wishFields } from './wishes.ts';

/** Members of a body that say how it is to be answered, or for whose books, and not what. */
const passedOver: ReadonlySet<string> = new Set([...wishFields, 'metadata', 'tags', 'model']);

const eventStream = 'text/event-stream';

/** One call and the response cache: under which name its answer is there, or what of it is to be kept. */
export class Recall {
  readonly cache: ResponseCache;
  readonly name: string;
  readonly controls: CacheControls;
  /** From the cache. */
  found: KeptAnswer | undefined;
  /** To be kept, once it is whole. */
  whole: Pick<KeptAnswer, 'contentType' | 'body'> | undefined;
  #added: Gathered | undefined;

  constructor(cache: ResponseCache, name: string, controls: CacheControls) {
    this.cache = cache;
    this.name = name;
    this.controls = controls;
    if (!controls.noStore) this.#added = new Gathered();
  }

  get headers(): readonly string[] {
    const key = ['x-litellm-cache-key', this.name];
    return this.found ? [...key, 'x-litellm-cache-hit', 'true'] : key;
  }

  /** Nothing of the answer is to be kept. */
  stop(): void {
    this.#added = undefined;
  }

  /** Takes a piece of a stream, unless there is already more of it than is kept. */
  add(bytes: Buffer | undefined): void {
    if (!this.#added || !bytes) return;
    this.#added.add(bytes);
    if (this.#added.length > this.cache.settings.answerBytes) this.stop();
  }

  /** The stream is whole. */
  keepAdded(): void {
    if (this.#added) this.keep(eventStream, this.#added.take());
  }

  keep(contentType: string, body: Buffer): void {
    if (this.#added) this.whole = { contentType, body };
  }
}

/**
 * Looks for an answer that was given before. Behind the reservation: whoever may not call, or has no money or allowance
 * left, is not told by the cache what a call would have answered.
 */
export function recall(exchange: Exchange): Promise<void> | undefined {
  const { responseCache: cache } = exchange.context.deps;
  if (!cache) return undefined;
  const { asked, endpoint, wishes, request, context } = exchange;
  const isAnswerable = cache.settings.callTypes.has(endpoint.callType) && !endpoint.rename && !asked.response;
  // A made-up answer is nobody else's, and that of a fallback is not the model's.
  if (!isAnswerable || wishes.mockResponse !== undefined || wishes.pretends || exchange.course) return undefined;
  const controls = withCacheHeader(wishes.cache ?? {}, request.headers);
  if (cache.settings.isOptIn && !controls.useCache) return undefined;
  const found = new Recall(cache, nameOf(exchange, cache, controls), controls);
  exchange.recall = found;
  return controls.noCache ? undefined : look(found, context.deps.now());
}

async function look(found: Recall, now: Date): Promise<void> {
  found.found = await found.cache.get(found.name, now, found.controls.maxAgeMs);
}

/** All that an answer depends on, and whose it is. Where a model leads elsewhere its answers are others. */
function nameOf(exchange: Exchange, cache: ResponseCache, controls: CacheControls): string {
  const { asked, endpoint, model, routed, tags, principal, context } = exchange;
  const places = routed?.group.deployments.map(placeOf).toSorted() ?? [];
  const routedBy = context.router.settings.tagFiltering ? tags.toSorted() : [];
  return cache.nameOf(
    [
      cache.settings.isShared ? '' : tenantOf(principal),
      controls.namespace ?? '',
      endpoint.path,
      JSON.stringify([model, places, routedBy, asked.headers ?? []]),
      canonicalFields(asked.fields, passedOver),
    ],
    asked.filesDigest?.(),
  );
}

/** A deployment that is changed keeps its id, and answers otherwise. */
const placeOf = ({ id, provider, upstreamModel, apiBase, params }: Deployment): string =>
  JSON.stringify([id, provider, upstreamModel, apiBase, params]);

/** A step that is not taken, or another in its place, where the answer comes from the cache. */
export const recalledInstead =
  (step: Step, instead?: Step): Step =>
  (exchange) =>
    exchange.recall?.found ? instead?.(exchange) : step(exchange);

export function settleRecalled(exchange: Exchange): void {
  exchange.settle({
    status: 'success',
    httpStatus: 200,
    usage: exchange.recall?.found?.usage,
    isCached: true,
    firstByteAt: exchange.context.deps.now(),
  });
  exchange.lease?.release();
}

/** A plain answer as it was, and a stream as a stream. */
export function replay(exchange: Exchange): void {
  const found = exchange.recall?.found;
  if (!found) return;
  const { contentType, body } = found;
  const ours = [...exchange.headers(), ...costHeaders(exchange.settlement)];
  if (contentType !== eventStream) return exchange.answer(200, ['content-type', contentType, ...ours], body);
  exchange.response.writeHead(200, [...streamHeaders, ...ours]);
  exchange.end(body);
}

/** Behind the answer's end, so that nobody waits for it. */
export function keepAnswer({ id, recall: kept, usage, course, context }: Exchange): void {
  if (!kept?.whole || course?.attemptedFallbacks) return;
  const { deps } = context;
  const answer = { ...kept.whole, storedAt: deps.now().getTime(), usage };
  kept.cache.set(kept.name, answer, kept.controls.ttlMs).catch((cause: unknown) => {
    deps.log('warn', 'An answer could not be kept in the response cache', { requestId: id, cause });
  });
}
