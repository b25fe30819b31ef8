import { GatewayError } from '../kernel/errors.ts';
import { isRecord } from '../kernel/record.ts';
import type { Usage } from '../metering/usage.ts';
import type { Deployment } from '../models/deployment.ts';
import { getBatch } from './endpoints/batches.ts';
import type { Endpoint } from './endpoints/endpoint.ts';
import { getFileContent } from './endpoints/files.ts';
import { nothingAsked } from './endpoints/kept-objects.ts';
import { responses } from './endpoints/responses.ts';
import { readInputTokens } from './endpoints/token-usage.ts';
import type { Provider, Receiver, UpstreamCall } from './providers/provider.ts';
import { createRequestId } from './request-id.ts';

const overStates: ReadonlySet<unknown> = new Set(['completed', 'failed', 'expired', 'cancelled']);

/** Whether nothing of a batch is done any more, and its output is whole. */
export const isOver = (batch: Readonly<Record<string, unknown>>): boolean => overStates.has(batch['status']);

/** Of a batch, or of a line of its output: far more than any has. */
const mostBytes = 16 * 1024 * 1024;
/** A file of 50,000 long answers is some gigabytes, and an upstream may be slow. */
const longestMs = 30 * 60_000;

/** Where a batch is. */
export interface BatchPlace {
  readonly deployment: Deployment;
  readonly upstreamModel: string;
  readonly upstreamId: string;
}

/** Asks upstreams about batches in the name of the gateway itself. */
export class BatchOutput {
  readonly #providers: ReadonlyMap<string, Provider>;

  constructor(providers: ReadonlyMap<string, Provider>) {
    this.#providers = providers;
  }

  /** The batch as its upstream has it. @throws GatewayError `upstream_error` with the upstream's status as its own */
  async look(place: BatchPlace, signal: AbortSignal): Promise<Readonly<Record<string, unknown>>> {
    const parts: Buffer[] = [];
    let bytes = 0;
    const path = `/batches/${encodeURIComponent(place.upstreamId)}` as const;
    await this.#read({ ...place, endpoint: getBatch, path, signal }, (chunk) => {
      bytes += chunk.length;
      if (bytes > mostBytes) throw new GatewayError('upstream', 'upstream_error', 'A batch is larger than any is');
      parts.push(chunk);
    });
    const batch: unknown = JSON.parse(Buffer.concat(parts).toString());
    if (!isRecord(batch)) throw new GatewayError('upstream', 'upstream_error', 'What was answered is no batch');
    return batch;
  }

  /**
   * Reads the usage of each call that was answered, a line at a time: no more than a line is held.
   *
   * @param tell given the usage, or undefined where an answer names none
   */
  async usages(
    place: BatchPlace & { readonly fileId: string },
    tell: (usage: Usage | undefined) => void,
    signal: AbortSignal,
  ): Promise<void> {
    const lines = new Lines((line) => {
      const usage = usageIn(line);
      if (usage !== 'none') tell(usage);
    });
    const path = `/files/${encodeURIComponent(place.fileId)}/content` as const;
    await this.#read({ ...place, endpoint: getFileContent, path, signal }, (chunk) => lines.add(chunk));
    lines.end();
  }

  #read({ deployment, upstreamModel, endpoint, path, signal }: Asked, onData: (chunk: Buffer) => void): Promise<void> {
    const provider = this.#providers.get(deployment.provider);
    if (!provider) throw new GatewayError('upstream', 'upstream_misconfigured', 'The provider is not served any more');
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const receiver = new Reading(onData, resolve, reject);
    const asked = { ...nothingAsked, fields: {}, model: upstreamModel, contentType: 'application/json' };
    const call: UpstreamCall = provider.send(
      {
        id: createRequestId(),
        deployment,
        upstreamModel,
        endpoint,
        asked: { ...asked, method: 'GET', path, bodyFor: () => Buffer.alloc(0) },
      },
      receiver,
    );
    const within = AbortSignal.any([signal, AbortSignal.timeout(longestMs)]);
    const stop = () => {
      call.abort();
      reject(within.reason instanceof Error ? within.reason : new Error('stopped'));
    };
    if (within.aborted) stop();
    else within.addEventListener('abort', stop, { once: true });
    return promise
      .catch((thrown: unknown) => {
        call.abort();
        throw thrown;
      })
      .finally(() => within.removeEventListener('abort', stop));
  }
}

interface Asked extends Omit<BatchPlace, 'upstreamId'> {
  readonly endpoint: Endpoint;
  readonly path: `/${string}`;
  readonly signal: AbortSignal;
}

class Reading implements Receiver {
  readonly #onData: (chunk: Buffer) => void;
  readonly #resolve: () => void;
  readonly #reject: (reason: unknown) => void;
  #isRefused = false;

  constructor(onData: (chunk: Buffer) => void, resolve: () => void, reject: (reason: unknown) => void) {
    this.#onData = onData;
    this.#resolve = resolve;
    this.#reject = reject;
  }

  sent(): void {}

  start(status: number): void {
    this.#isRefused = status !== 200;
    if (!this.#isRefused) return;
    this.fail(new GatewayError('upstream', 'upstream_error', `The upstream answered ${status}`, { status }));
  }

  data(chunk: Buffer): void {
    if (this.#isRefused) return;
    try {
      this.#onData(chunk);
    } catch (thrown) {
      this.#isRefused = true;
      this.#reject(thrown);
    }
  }

  end(): void {
    this.#resolve();
  }

  fail(error: Error): void {
    this.#reject(error);
  }
}

/** Cuts what comes into lines. One that is longer than any line is told of without its text. */
class Lines {
  readonly #onLine: (line: Buffer | undefined) => void;
  #parts: Buffer[] = [];
  #bytes = 0;
  #isTooLong = false;

  constructor(onLine: (line: Buffer | undefined) => void) {
    this.#onLine = onLine;
  }

  add(chunk: Buffer): void {
    let from = 0;
    for (let end = chunk.indexOf(0x0a); end >= 0; end = chunk.indexOf(0x0a, from)) {
      this.#keep(chunk.subarray(from, end));
      this.end();
      from = end + 1;
    }
    this.#keep(chunk.subarray(from));
  }

  end(): void {
    if (this.#isTooLong) this.#onLine(undefined);
    else if (this.#bytes > 0) this.#onLine(Buffer.concat(this.#parts));
    this.#parts = [];
    this.#bytes = 0;
    this.#isTooLong = false;
  }

  #keep(part: Buffer): void {
    if (part.length === 0) return;
    this.#bytes += part.length;
    if (this.#bytes > mostBytes) this.#isTooLong = true;
    if (this.#isTooLong) this.#parts = [];
    // A copy: the chunk is the connection's.
    else this.#parts.push(Buffer.from(part));
  }
}

/** What a line of the output says was used; `none` where its call was refused, which costs nothing. */
function usageIn(line: Buffer | undefined): Usage | undefined | 'none' {
  const text = line?.toString().trim();
  if (text === '') return 'none';
  const answer = text === undefined ? undefined : parsed(text);
  const response = isRecord(answer) ? answer['response'] : undefined;
  // What cannot be read may have been answered.
  if (!isRecord(answer) || (!isRecord(response) && !answer['error'])) return undefined;
  if (!isRecord(response) || response['status_code'] !== 200) return 'none';
  const usage = isRecord(response['body']) ? response['body']['usage'] : undefined;
  return responses.readUsage(usage) ?? readInputTokens(usage);
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // Half a line, or none of a batch's.
    return undefined;
  }
}
