import type { BatchSize } from '../metering/batch.ts';
import { requireRoute } from '../access/decide.ts';
import { isRecord } from '../kernel/record.ts';
import type { Exchange } from './exchange.ts';
import { invalid } from './endpoints/json-request.ts';
import { authenticate, type Step } from './pipeline.ts';
import { isOver } from './batch-output.ts';
import { ownerName, readResponseId } from './response-ids.ts';

/** Files and batches as they were last seen, by whose they are. Upstreams list those of all who share the operator's account. */
export interface KeptObjects {
  remember(object: KeptObject): Promise<void>;
  forget(id: string): Promise<void>;
  /** What the calls in a file can use at most; undefined where nobody here has looked into it. */
  batchSize(fileId: string): Promise<BatchSize | undefined>;
  /** A batch was made, and its call is booked at the worst case: what it costs is found out when it is over. */
  openBatch(batch: OpenBatch): Promise<void>;
  /** A batch is over: what it costs can be found out now. */
  endBatch(id: string): Promise<void>;
  list(asked: KeptQuery): Promise<readonly Readonly<Record<string, unknown>>[]>;
}

export interface OpenBatch {
  readonly id: string;
  /** Of the row that it is booked with. */
  readonly requestId: string;
  readonly deploymentId: string;
  readonly upstreamId: string;
  readonly upstreamModel: string;
  /** Calls in it; 0 where that is not known. */
  readonly lines: number;
}

export interface KeptObject {
  readonly id: string;
  readonly owner: string;
  readonly kind: 'file' | 'batch';
  readonly object: Readonly<Record<string, unknown>>;
  /** Of a file with calls in it. */
  readonly batchSize?: BatchSize | undefined;
}

export interface KeptQuery extends Pick<KeptObject, 'owner' | 'kind'> {
  readonly purpose: string | undefined;
  /** The id behind which the page begins. */
  readonly after: string | undefined;
  readonly isAscending: boolean;
  readonly limit: number;
}

/** For how long a client waits until its file is in its list. */
const rememberMs = 2_000;

/** Before the client has its answer, so that the list has it then. Where that cannot be, it is there all the same. */
export async function remember(exchange: Exchange): Promise<void> {
  const { id, relay, endpoint, context } = exchange;
  const { deps } = context;
  const { keptObjects } = deps;
  const answer: unknown = relay?.body && JSON.parse(relay.body.toString());
  if (!keptObjects || !isRecord(answer) || typeof answer['id'] !== 'string') return;
  const { id: name } = answer;
  const done = endpoint.callType === 'delete_file' ? keptObjects.forget(name) : keep(keptObjects, exchange, answer);
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(() => late.reject(new Error(`It took longer than ${rememberMs} ms`)), rememberMs);
  try {
    await Promise.race([done, late.promise]);
  } catch (cause) {
    const isBatch = endpoint.callType === 'create_batch';
    const what = isBatch ? 'A batch stays booked at its worst case: it' : 'The list of a caller’s files and batches';
    deps.log(isBatch ? 'error' : 'warn', `${what} could not be kept`, {
      requestId: id,
      cause: String(cause),
    });
  } finally {
    clearTimeout(timer);
  }
}

async function keep(
  keptObjects: KeptObjects,
  { principal, endpoint, asked, callId, target }: Exchange,
  answer: Readonly<Record<string, unknown>>,
): Promise<void> {
  const id = String(answer['id']);
  const kind = endpoint.path === '/files' ? 'file' : 'batch';
  const { deployment, upstreamModel } = target;
  const upstreamId = readResponseId(id, 'batch')?.upstreamId;
  if (endpoint.callType === 'create_batch' && upstreamId !== undefined) {
    const lines = asked.batch?.lines ?? 0;
    await keptObjects.openBatch({
      id,
      requestId: callId,
      deploymentId: deployment.id,
      upstreamId,
      upstreamModel,
      lines,
    });
  } else if (kind === 'batch' && isOver(answer)) await keptObjects.endBatch(id);
  const ofFile = endpoint.callType === 'create_file' ? { batchSize: asked.batch } : {};
  await keptObjects.remember({ id, owner: ownerName(principal), kind, object: answer, ...ofFile });
}

export const listFiles: readonly Step[] = [authenticate, admit, (exchange) => answerList(exchange, 'file')];
export const listBatches: readonly Step[] = [authenticate, admit, (exchange) => answerList(exchange, 'batch')];

function admit({ principal, handler }: Exchange): void {
  requireRoute(principal, handler);
}

async function answerList(exchange: Exchange, kind: 'file' | 'batch'): Promise<void> {
  const { request, principal, context } = exchange;
  const query = new URLSearchParams(request.url?.split('?')[1]);
  const limit = query.get('limit') ?? '100';
  if (!/^[1-9]\d{0,3}$/.test(limit)) throw invalid('limit must be a whole number from 1 to 9999', 'limit');
  const order = query.get('order') ?? 'desc';
  if (order !== 'asc' && order !== 'desc') throw invalid('order must be asc or desc', 'order');
  const most = Math.min(Number(limit), 1_000);
  const found = await context.deps.keptObjects?.list({
    owner: ownerName(principal),
    kind,
    purpose: query.get('purpose') ?? undefined,
    after: query.get('after') ?? undefined,
    isAscending: order === 'asc',
    limit: most + 1,
  });
  const data = found?.slice(0, most) ?? [];
  exchange.answerJson(200, {
    object: 'list',
    data,
    first_id: data[0]?.['id'] ?? null,
    last_id: data.at(-1)?.['id'] ?? null,
    has_more: (found?.length ?? 0) > most,
  });
}
