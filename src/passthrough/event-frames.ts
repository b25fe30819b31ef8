import { JsonMembers } from './json-members.ts';

const preludeLength = 12;
const checksumLength = 4;
/** Bedrock's own limit of an event is lower. What pretends to be longer is no event, and nothing after it is read. */
const longestFrame = 16 * 1024 * 1024;

/**
 * The payloads of AWS event streams (`application/vnd.amazon.eventstream`): a length, the length of the headers, a checksum,
 * then headers, payload and another checksum. Those of a model that is invoked wrap its own events in Base64, as `bytes`.
 */
export class EventFrames {
  readonly #members: JsonMembers;
  readonly #wrapped: JsonMembers;
  #prelude = Buffer.alloc(0);
  /** Bytes of the frame that are still to come, checksum included; of them so many before the payload. */
  #rest = 0;
  #headers = 0;
  #isBroken = false;

  constructor(members: JsonMembers, note: (value: unknown) => void) {
    this.#members = members;
    const inner = new JsonMembers(new Set(['usage', 'message.usage', 'amazon-bedrock-invocationMetrics']), (_, value) =>
      note(value),
    );
    this.#wrapped = new JsonMembers(new Set(['bytes']), (_, value) => {
      inner.reset();
      if (typeof value === 'string') inner.push(Buffer.from(value, 'base64'));
    });
  }

  push(bytes: Buffer): void {
    for (let index = 0; index < bytes.length && !this.#isBroken;) {
      index = this.#rest > 0 ? this.#readFrame(bytes, index) : this.#readPrelude(bytes, index);
    }
  }

  #readPrelude(bytes: Buffer, from: number): number {
    const end = Math.min(bytes.length, from + preludeLength - this.#prelude.length);
    this.#prelude = Buffer.concat([this.#prelude, bytes.subarray(from, end)]);
    if (this.#prelude.length < preludeLength) return end;
    const length = this.#prelude.readUInt32BE(0);
    this.#headers = this.#prelude.readUInt32BE(4);
    this.#rest = length - preludeLength;
    this.#prelude = Buffer.alloc(0);
    this.#isBroken = length > longestFrame || this.#headers + checksumLength > this.#rest;
    this.#members.reset();
    this.#wrapped.reset();
    return end;
  }

  #readFrame(bytes: Buffer, from: number): number {
    const end = Math.min(bytes.length, from + this.#rest);
    const begin = Math.min(end, from + this.#headers);
    this.#headers -= begin - from;
    const payload = bytes.subarray(begin, Math.max(begin, Math.min(end, from + this.#rest - checksumLength)));
    this.#members.push(payload);
    this.#wrapped.push(payload);
    this.#rest -= end - from;
    return end;
  }
}
