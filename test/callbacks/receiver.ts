import type { ServerResponse } from 'node:http';
import { PretendUpstream, type Received } from '../passthrough/upstream.ts';

/** Somebody who is told of calls. */
export class Receiver extends PretendUpstream {
  /** Bodies in JSON of what came to a path. */
  bodies(path: string): unknown[] {
    return this.of(path).map(({ body }) => JSON.parse(Buffer.from(body, 'latin1').toString()) as unknown);
  }

  of(path: string): Received[] {
    return this.received.filter(({ url }) => url === path);
  }

  /** What webhooks were told at a path, call by call. */
  events(path: string): Event[] {
    return this.bodies(path).flat() as Event[];
  }

  /** Answers as the path wants it. */
  answering(replies: Readonly<Record<string, (response: ServerResponse) => void>>): this {
    this.reply = ({ url }, response) => {
      const reply = replies[url];
      if (reply) reply(response);
      else response.writeHead(200, { 'content-type': 'application/json' }).end('{}');
    };
    return this;
  }
}

export interface Event {
  readonly [name: string]: unknown;
  readonly id: string;
  readonly metadata: Readonly<Record<string, unknown>>;
}

type Fields = Map<number, (Buffer | bigint | number)[]>;

/** A message of Protocol Buffers by the numbers of its fields, which is all that its encoding says. */
function fieldsOf(bytes: Buffer): Fields {
  const fields: Fields = new Map();
  let at = 0;
  const varint = (): bigint => {
    let value = 0n;
    for (let shift = 0n; ; shift += 7n) {
      const byte = bytes[at++] ?? 0;
      value |= BigInt(byte & 127) << shift;
      if (byte < 128) return value;
    }
  };
  while (at < bytes.length) {
    const tag = Number(varint());
    const number = tag >> 3;
    const values = fields.get(number) ?? [];
    fields.set(number, values);
    if ((tag & 7) === 0) values.push(varint());
    else if ((tag & 7) === 1) values.push(bytes.subarray(at, (at += 8)));
    else if ((tag & 7) === 2) {
      const length = Number(varint());
      values.push(bytes.subarray(at, (at += length)));
    } else if ((tag & 7) === 5) values.push(bytes.subarray(at, (at += 4)));
    else throw new Error(`No field has the type ${tag & 7}`);
  }
  return fields;
}

const first = (fields: Fields, number: number): Buffer => {
  const [value] = fields.get(number) ?? [];
  return Buffer.isBuffer(value) ? value : Buffer.alloc(0);
};
const all = (fields: Fields, number: number): Buffer[] =>
  (fields.get(number) ?? []).filter((value) => Buffer.isBuffer(value));

export interface Span {
  readonly traceId: string;
  readonly parent: string;
  readonly name: string;
  readonly kind: number;
  readonly status: number;
  readonly ms: number;
  readonly attributes: Readonly<Record<string, unknown>>;
  readonly service: unknown;
}

/** The spans of an ExportTraceServiceRequest. */
export function spansOf({ body }: Received): Span[] {
  return all(fieldsOf(Buffer.from(body, 'latin1')), 1).flatMap((each) => {
    const resourceSpans = fieldsOf(each);
    const service = attributesOf(fieldsOf(first(resourceSpans, 1)), 1)['service.name'];
    return all(resourceSpans, 2).flatMap((scope) => all(fieldsOf(scope), 2).map((span) => spanOf(span, service)));
  });
}

function spanOf(bytes: Buffer, service: unknown): Span {
  const span = fieldsOf(bytes);
  const [kind = 0n] = span.get(6) ?? [];
  const [status = 0n] = fieldsOf(first(span, 15)).get(3) ?? [];
  return {
    traceId: first(span, 1).toString('hex'),
    parent: first(span, 4).toString('hex'),
    name: first(span, 5).toString(),
    kind: Number(kind),
    status: Number(status),
    ms: Number(first(span, 8).readBigUInt64LE() - first(span, 7).readBigUInt64LE()) / 1e6,
    attributes: attributesOf(span, 9),
    service,
  };
}

function attributesOf(fields: Fields, number: number): Record<string, unknown> {
  return Object.fromEntries(
    all(fields, number).map((each) => {
      const pair = fieldsOf(each);
      return [first(pair, 1).toString(), valueOf(fieldsOf(first(pair, 2)))];
    }),
  );
}

function valueOf(value: Fields): unknown {
  for (const [number, [held]] of value) {
    if (number === 1 && Buffer.isBuffer(held)) return held.toString();
    if (number === 2) return held === 1n;
    if (number === 3) return Number(held);
    if (number === 4 && Buffer.isBuffer(held)) return held.readDoubleLE();
    if (number === 5 && Buffer.isBuffer(held)) return all(fieldsOf(held), 1).map((each) => valueOf(fieldsOf(each)));
  }
  return undefined;
}
