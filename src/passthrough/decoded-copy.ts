import {
  constants,
  createBrotliDecompress,
  createGunzip,
  createInflate,
  createInflateRaw,
  createZstdDecompress,
} from 'node:zlib';
import type { Transform } from 'node:stream';
import { GatewayError } from '../kernel/errors.ts';
import { invalidAnswer } from '../proxy/failures.ts';

/** So much is inflated whatever came for it; beyond it no more than so many times what came. */
const alwaysInflated = 16 * 1024 * 1024;
const mostRatio = 100;
/** Until what has come is inflated, once nothing more comes. */
const mostWaitMs = 10_000;

/** An answer that was cut is read as far as it came. */
const flushing = { finishFlush: constants.Z_SYNC_FLUSH };

const decoders: Readonly<Record<string, (first: number) => Transform>> = {
  gzip: () => createGunzip(flushing),
  'x-gzip': () => createGunzip(flushing),
  // With the wrapping that the standard asks for, or without it, as some servers have it.
  deflate: (first) => ((first & 0x0f) === 8 ? createInflate(flushing) : createInflateRaw(flushing)),
  br: () => createBrotliDecompress({ finishFlush: constants.BROTLI_OPERATION_FLUSH }),
  zstd: () => createZstdDecompress({ finishFlush: constants.ZSTD_e_flush }),
};

/** The coding of an answer; undefined where it has none. */
export function codingOf(header: string | undefined): string | undefined {
  const coding = header?.trim().toLowerCase();
  return coding === '' || coding === 'identity' ? undefined : coding;
}

export const isReadable = (coding: string): boolean => Object.hasOwn(decoders, coding);

export interface CopyReader {
  /** Told what an answer is, inflated. Throws what the answer is to be refused for. */
  inflated(bytes: Buffer): void;
  /** Told once, when it cannot be read on. */
  failed(error: GatewayError): void;
}

/** Reads an inflated copy of an answer that goes on compressed. */
export class DecodedCopy {
  readonly #coding: string;
  readonly #reader: CopyReader;
  readonly #over = Promise.withResolvers<void>();
  #decoder: Transform | undefined;
  #ended: Promise<void> | undefined;
  #taken = 0;
  #inflated = 0;
  #isOver = false;
  #failure: GatewayError | undefined;

  /** @param coding one that is readable */
  constructor(coding: string, reader: CopyReader) {
    this.#coding = coding;
    this.#reader = reader;
  }

  /** @param read told when the reader has been told all that these bytes hold */
  write(chunk: Buffer, read: () => void): void {
    if (this.#isOver || chunk.length === 0) return;
    this.#taken += chunk.length;
    this.#decoder ??= this.#open(chunk[0] ?? 0);
    const decoder = this.#decoder;
    decoder.write(chunk, (error) => {
      // Nothing of it may be told later than that it is read.
      while (decoder.readableLength > 0 && decoder.read() !== null);
      if (!error && !this.#failure) read();
    });
  }

  /** Nothing more comes. Fulfilled when the reader has been told everything, or that it will not be. */
  end(): Promise<void> {
    return (this.#ended ??= this.#end());
  }

  async #end(): Promise<void> {
    if (!this.#decoder) return;
    this.#decoder.end();
    const timer = setTimeout(() => this.#fail(invalidAnswer('took too long to inflate')), mostWaitMs);
    await this.#over.promise;
    clearTimeout(timer);
  }

  get failure(): GatewayError | undefined {
    return this.#failure;
  }

  #open(first: number): Transform {
    const open = decoders[this.#coding];
    if (!open) throw new GatewayError('internal', 'internal_error', `Nothing reads ${this.#coding}`);
    return open(first)
      .on('data', (bytes: Buffer) => this.#take(bytes))
      .on('error', (cause) => this.#fail(invalidAnswer(`is not compressed by ${this.#coding}, as it says`, cause)))
      .on('close', () => this.#over.resolve());
  }

  #take(bytes: Buffer): void {
    if (this.#isOver) return;
    this.#inflated += bytes.length;
    try {
      if (this.#inflated > alwaysInflated && this.#inflated > mostRatio * this.#taken) {
        throw invalidAnswer('inflates to too much');
      }
      this.#reader.inflated(bytes);
    } catch (thrown) {
      this.#fail(GatewayError.from(thrown));
    }
  }

  #fail(error: GatewayError): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#failure = error;
    this.#decoder?.destroy();
    this.#reader.failed(error);
  }
}
