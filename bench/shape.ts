/** Pieces of a streamed answer that hold text. */
export const chunks = 100;

/**
 * How often each stream gets its next chunk. A model takes 10 to 30 ms; this is as fast as the slowest server under
 * test can nearly still follow, and slow enough that chunks do not melt into one another on the way.
 */
export const chunkEveryMs = 2;

/** Requests under way at any time: each connection sends its next one when it has the answer. */
export const connections = 32;

export const model = 'bench';
export const upstreamModel = 'gpt-bench';

/** The same at an upstream that speaks Anthropic's protocol. */
export const translatedModel = 'bench-translated';
export const translatedUpstreamModel = 'claude-sonnet-4-5';

const messages = [
  { role: 'system', content: 'You are a patient assistant that answers in one short paragraph of plain text.' },
  { role: 'user', content: 'What does a gateway do between reading a request and sending the end of its answer?' },
];

export type Kind = 'plain' | 'stream';

export interface Credentials {
  readonly key: string;
  readonly upstreamPort: number;
  readonly asked?: string;
  /** The field of that name in the body. */
  readonly user?: string;
}

/**
 * The bytes of one request. All servers get the same ones: the headers that tell Portkey where to go are there for the
 * others too, which pass them over.
 */
export function requestBytes(kind: Kind, { key, upstreamPort, asked = model, user }: Credentials): Buffer {
  const body = JSON.stringify({
    model: asked,
    messages,
    temperature: 0.2,
    max_tokens: 200,
    ...(kind === 'stream' && { stream: true }),
    ...(user !== undefined && { user }),
  });
  const head = [
    'POST /v1/chat/completions HTTP/1.1',
    'host: 127.0.0.1',
    'accept: application/json',
    'content-type: application/json',
    'user-agent: OpenAI/JS 6.0.0',
    `authorization: Bearer ${key}`,
    'x-portkey-provider: openai',
    `x-portkey-custom-host: http://127.0.0.1:${upstreamPort}/v1`,
    `content-length: ${Buffer.byteLength(body)}`,
  ];
  return Buffer.from(`${head.join('\r\n')}\r\n\r\n${body}`);
}
