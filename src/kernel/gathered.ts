/**
 * Bytes that come in pieces, put together as they come. In a list each piece takes a hundred bytes of its own: whoever
 * sends a body one byte at a time, six bytes on the wire, would make a gigabyte of the 10 MiB that a body may have.
 */
export class Gathered {
  #bytes: Buffer;
  #length = 0;
  #isOurs: boolean;

  /** @param expected how many bytes will come, where that is known: then nothing is ever there twice */
  constructor(expected = 0) {
    this.#isOurs = expected > 0;
    this.#bytes = Buffer.allocUnsafe(expected);
  }

  get length(): number {
    return this.#length;
  }

  add(piece: Buffer): void {
    const length = this.#length + piece.length;
    if (this.#length === 0 && !this.#isOurs) {
      // Most come in one piece, which is not copied.
      this.#bytes = piece;
    } else {
      if (!this.#isOurs || length > this.#bytes.length) this.#grow(length);
      piece.copy(this.#bytes, this.#length);
    }
    this.#length = length;
  }

  /** All that has come. What comes after that is gathered anew. */
  take(): Buffer {
    const bytes = this.#bytes.subarray(0, this.#length);
    this.#bytes = none;
    this.#length = 0;
    this.#isOurs = false;
    return bytes;
  }

  #grow(length: number): void {
    const larger = Buffer.allocUnsafe(Math.max(leastBytes, Math.ceil(length * 1.5)));
    this.#bytes.copy(larger, 0, 0, this.#length);
    this.#bytes = larger;
    this.#isOurs = true;
  }
}

const none = Buffer.alloc(0);
const leastBytes = 256;
