import { refuseCredential } from './failures.ts';

const noBytes = Buffer.alloc(0);

/**
 * Looks for the credential that a call was made with in an answer that goes on in pieces. An end that may be the beginning
 * of it is held back until the next piece shows: what an upstream sends in two pieces is as good as in one.
 */
export class HeldBack {
  readonly #apiKey: string | undefined;
  readonly #secret: Buffer;
  #held = noBytes;

  constructor(apiKey: string | undefined) {
    this.#apiKey = apiKey;
    this.#secret = Buffer.from(apiKey ?? '');
  }

  /** @returns what may go on; may be empty. @throws GatewayError `upstream_invalid_response` when the credential is there */
  take(chunk: Buffer): Buffer {
    const bytes = this.#held.length > 0 ? Buffer.concat([this.#held, chunk]) : chunk;
    refuseCredential(bytes, this.#apiKey);
    const open = this.#openEnd(bytes);
    this.#held = open > 0 ? Buffer.from(bytes.subarray(-open)) : noBytes;
    return open > 0 ? bytes.subarray(0, -open) : bytes;
  }

  /** What is still held back when nothing more comes. */
  rest(): Buffer {
    return this.#held;
  }

  /** How many of the last bytes are the first of the credential. */
  #openEnd(bytes: Buffer): number {
    const secret = this.#secret;
    for (let length = Math.min(bytes.length, secret.length - 1); length > 0; length--) {
      if (bytes.compare(secret, 0, length, bytes.length - length) === 0) return length;
    }
    return 0;
  }
}
