import type { Deployment } from '../models/deployment.ts';
import { refuseCredential } from './failures.ts';
import { secretsOf } from './secrets.ts';

const noBytes = Buffer.alloc(0);

/**
 * Looks for the credentials that a call was made with in an answer that goes on in pieces. An end that may be the beginning
 * of one is held back until the next piece shows: what an upstream sends in two pieces is as good as in one.
 */
export class HeldBack {
  readonly #deployment: Deployment;
  #held = noBytes;

  constructor(deployment: Deployment) {
    this.#deployment = deployment;
  }

  /** @returns what may go on; may be empty. @throws GatewayError `upstream_invalid_response` when a credential is there */
  take(chunk: Buffer): Buffer {
    const bytes = this.#held.length > 0 ? Buffer.concat([this.#held, chunk]) : chunk;
    refuseCredential(bytes, this.#deployment);
    const open = secretsOf(this.#deployment).openEnd(bytes);
    this.#held = open > 0 ? Buffer.from(bytes.subarray(-open)) : noBytes;
    return open > 0 ? bytes.subarray(0, -open) : bytes;
  }

  /** What is still held back when nothing more comes. */
  rest(): Buffer {
    return this.#held;
  }
}
