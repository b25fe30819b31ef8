import type OpenAI from 'openai';
import { toFile } from 'openai';
import type { UpstreamScript } from './upstream.ts';

/** A kind of call, by its official client. */
export interface Kind {
  readonly name: string;
  readonly callType: string;
  readonly route: string;
  readonly prices: object;
  readonly script: UpstreamScript;
  /** Calls the model, and answers with what its caller looks for. */
  readonly call: (client: OpenAI, model: string) => Promise<unknown>;
  readonly expected: unknown;
  /** As they are booked. */
  readonly tokens: readonly [prompt: number, completion: number];
  /** Nano-dollars. */
  readonly cost: string;
  readonly stream?: true;
}

const perToken = { input_cost_per_token: 1e-6, output_cost_per_token: 2e-6 };
/** The head of a FLAC file of 100 seconds. */
function aSong() {
  const bytes = Buffer.alloc(300_000);
  bytes.write('fLaC');
  bytes.writeBigUInt64BE((44_100n << 44n) | 4_410_000n, 18);
  return toFile(bytes, 'sung.flac', { type: 'audio/flac' });
}
const recording = () => toFile(Buffer.alloc(4_000, 7), 'said.mp3', { type: 'audio/mpeg' });
const picture = () => toFile(Buffer.from('\x89PNG\r\n--not-a-boundary\r\n'), 'cat.png', { type: 'image/png' });
const json = (answer: object): UpstreamScript => ({ answer });

const textChunk = (choice: object | undefined, usage: object | null = null): string =>
  `data: ${JSON.stringify({ id: 'cmpl-1', object: 'text_completion', created: 1, choices: choice ? [choice] : [], usage })}\n\n`;

const event = (data: object): string => `data: ${JSON.stringify(data)}\n\n`;

const texts: readonly Kind[] = [
  {
    name: 'completion',
    callType: 'text_completion',
    route: '/v1/completions',
    prices: perToken,
    script: json({
      choices: [{ index: 0, text: ' a time', logprobs: null, finish_reason: 'stop' }],
      usage: { prompt_tokens: 4, completion_tokens: 3, total_tokens: 7 },
    }),
    call: async (client, model) =>
      (await client.completions.create({ model, prompt: 'Once upon', max_tokens: 10 })).choices[0]?.text,
    expected: ' a time',
    tokens: [4, 3],
    cost: '10000',
  },
  {
    name: 'streamed completion',
    callType: 'text_completion',
    route: '/v1/completions',
    prices: perToken,
    script: {
      chunks: [
        textChunk({ index: 0, text: ' a', finish_reason: null }),
        textChunk({ index: 0, text: ' time', finish_reason: 'stop' }),
        textChunk(undefined, { prompt_tokens: 4, completion_tokens: 3, total_tokens: 7 }),
        'data: [DONE]\n\n',
      ],
    },
    call: async (client, model) => {
      let text = '';
      const stream = await client.completions.create({ model, prompt: 'Once upon', max_tokens: 10, stream: true });
      for await (const { choices } of stream) text += choices[0]?.text ?? '';
      return text;
    },
    expected: ' a time',
    tokens: [4, 3],
    cost: '10000',
    stream: true,
  },
  {
    name: 'embedding',
    callType: 'embedding',
    route: '/v1/embeddings',
    prices: perToken,
    script: json({
      data: [{ object: 'embedding', index: 0, embedding: [0.25, -0.5] }],
      usage: { prompt_tokens: 6, total_tokens: 6 },
    }),
    call: async (client, model) =>
      (await client.embeddings.create({ model, input: 'Six small tokens', encoding_format: 'float' })).data[0]
        ?.embedding,
    expected: [0.25, -0.5],
    tokens: [6, 0],
    cost: '6000',
  },
  {
    name: 'moderation',
    callType: 'moderation',
    route: '/v1/moderations',
    prices: { input_cost_per_request: 0.001 },
    script: json({ results: [{ flagged: true, categories: {}, category_scores: {} }] }),
    call: async (client, model) => (await client.moderations.create({ model, input: 'Rude' })).results[0]?.flagged,
    expected: true,
    // Nobody reports any: they are guessed from the body.
    tokens: [15, 0],
    cost: '1000000',
  },
  {
    name: 'rerank',
    callType: 'rerank',
    route: '/v1/rerank',
    prices: { input_cost_per_query: 0.002 },
    script: json({
      results: [{ index: 1, relevance_score: 0.9 }],
      meta: { billed_units: { search_units: 2 } },
    }),
    call: async (client, model) => {
      const body = { model, query: 'Capital of France', documents: ['Berlin', 'Paris'] };
      return ((await client.post('/rerank', { body })) as { results: unknown }).results;
    },
    expected: [{ index: 1, relevance_score: 0.9 }],
    tokens: [0, 0],
    cost: '4000000',
  },
];

const images: readonly Kind[] = [
  {
    name: 'image by the piece',
    callType: 'image_generation',
    route: '/v1/images/generations',
    prices: { output_cost_per_image: 0.04 },
    script: json({ created: 1, data: [{ b64_json: 'QUJD' }, { b64_json: 'REVG' }] }),
    call: async (client, model) =>
      (await client.images.generate({ model, prompt: 'A cat', n: 2, size: '1024x1024', quality: 'standard' })).data,
    expected: [{ b64_json: 'QUJD' }, { b64_json: 'REVG' }],
    tokens: [0, 0],
    cost: '80000000',
  },
  {
    name: 'image by its tokens',
    callType: 'image_generation',
    route: '/v1/images/generations',
    prices: { ...perToken, output_cost_per_image_token: 4e-5 },
    script: json({
      data: [{ b64_json: 'QUJD' }],
      usage: { input_tokens: 10, output_tokens: 100, input_tokens_details: { text_tokens: 10, image_tokens: 0 } },
    }),
    call: async (client, model) => (await client.images.generate({ model, prompt: 'A cat', quality: 'low' })).data,
    expected: [{ b64_json: 'QUJD' }],
    tokens: [10, 100],
    cost: '4010000',
  },
  {
    name: 'streamed image',
    callType: 'image_generation',
    route: '/v1/images/generations',
    prices: { ...perToken, output_cost_per_image_token: 4e-5 },
    script: {
      chunks: [
        event({ type: 'image_generation.partial_image', b64_json: 'QUJD', partial_image_index: 0 }),
        event({
          type: 'image_generation.completed',
          b64_json: 'REVG',
          usage: { input_tokens: 10, output_tokens: 100, input_tokens_details: { text_tokens: 10 } },
        }),
      ],
    },
    call: async (client, model) => {
      const seen: string[] = [];
      const stream = await client.images.generate({ model, prompt: 'A cat', stream: true, partial_images: 1 });
      for await (const { type } of stream) seen.push(type);
      return seen;
    },
    expected: ['image_generation.partial_image', 'image_generation.completed'],
    tokens: [10, 100],
    cost: '4010000',
    stream: true,
  },
  {
    name: 'edited image',
    callType: 'image_edit',
    route: '/v1/images/edits',
    prices: { input_cost_per_pixel: 1e-8 },
    script: json({ data: [{ b64_json: 'QUJD' }] }),
    call: async (client, model) =>
      (await client.images.edit({ model, image: [await picture(), await picture()], prompt: 'A hat', size: '512x512' }))
        .data,
    expected: [{ b64_json: 'QUJD' }],
    tokens: [0, 0],
    cost: '2621440',
  },
  {
    name: 'variation of an image',
    callType: 'image_variation',
    route: '/v1/images/variations',
    prices: { input_cost_per_image: 0.02 },
    script: json({ data: [{ url: 'https://images.example/1' }] }),
    call: async (client, model) => (await client.images.createVariation({ model, image: await picture() })).data,
    expected: [{ url: 'https://images.example/1' }],
    tokens: [0, 0],
    cost: '20000000',
  },
];

const sound: readonly Kind[] = [
  {
    name: 'speech',
    callType: 'speech',
    route: '/v1/audio/speech',
    prices: { input_cost_per_character: 1.5e-5 },
    script: { answer: Buffer.from([0xff, 0xfb, 0x90, 0, 1, 2, 3]), headers: { 'content-type': 'audio/mpeg' } },
    call: async (client, model) => {
      const answer = await client.audio.speech.create({ model, voice: 'alloy', input: 'Good day' });
      return [answer.headers.get('content-type'), ...Buffer.from(await answer.arrayBuffer())];
    },
    expected: ['audio/mpeg', 0xff, 0xfb, 0x90, 0, 1, 2, 3],
    // Nobody reports any: they are guessed from the body and from the text.
    tokens: [22, 12],
    cost: '120000',
  },
  {
    name: 'transcript by the second',
    callType: 'transcription',
    route: '/v1/audio/transcriptions',
    prices: { input_cost_per_second: 0.0001 },
    script: json({ text: 'Good day', usage: { type: 'duration', seconds: 9 } }),
    call: async (client, model) => (await client.audio.transcriptions.create({ model, file: await recording() })).text,
    expected: 'Good day',
    tokens: [0, 0],
    cost: '900000',
  },
  {
    name: 'transcript by its tokens',
    callType: 'transcription',
    route: '/v1/audio/transcriptions',
    prices: { ...perToken, input_cost_per_audio_token: 6e-6 },
    script: json({
      text: 'Good day',
      usage: { type: 'tokens', input_tokens: 14, output_tokens: 2, input_token_details: { audio_tokens: 14 } },
    }),
    call: async (client, model) => (await client.audio.transcriptions.create({ model, file: await recording() })).text,
    expected: 'Good day',
    tokens: [14, 2],
    cost: '88000',
  },
  {
    name: 'streamed transcript',
    callType: 'transcription',
    route: '/v1/audio/transcriptions',
    prices: perToken,
    script: {
      answer:
        event({ type: 'transcript.text.delta', delta: 'Good day' }) +
        event({
          type: 'transcript.text.done',
          text: 'Good day',
          usage: { type: 'tokens', input_tokens: 14, output_tokens: 2, input_token_details: { audio_tokens: 14 } },
        }),
      headers: { 'content-type': 'text/event-stream' },
    },
    call: async (client, model) => {
      const seen: string[] = [];
      const stream = await client.audio.transcriptions.create({ model, file: await recording(), stream: true });
      for await (const { type } of stream) seen.push(type);
      return seen;
    },
    expected: ['transcript.text.delta', 'transcript.text.done'],
    tokens: [14, 2],
    cost: '18000',
    stream: true,
  },
  {
    name: 'subtitles',
    callType: 'transcription',
    route: '/v1/audio/translations',
    prices: { output_cost_per_second: 0.0001 },
    script: {
      answer: '1\n00:00:00,000 --> 00:00:02,500\nGood day\n',
      headers: { 'content-type': 'text/plain; charset=utf-8' },
    },
    call: async (client, model) =>
      client.audio.translations.create({ model, file: await recording(), response_format: 'srt' }),
    expected: '1\n00:00:00,000 --> 00:00:02,500\nGood day\n',
    tokens: [0, 0],
    cost: '250000',
  },
  {
    name: 'subtitles that end long before the recording does',
    callType: 'transcription',
    route: '/v1/audio/transcriptions',
    prices: { output_cost_per_second: 0.0001 },
    script: { answer: 'WEBVTT\n\n00:00.000 --> 00:02.500\nGood day\n', headers: { 'content-type': 'text/vtt' } },
    call: async (client, model) =>
      client.audio.transcriptions.create({ model, file: await aSong(), response_format: 'vtt' }),
    expected: 'WEBVTT\n\n00:00.000 --> 00:02.500\nGood day\n',
    tokens: [0, 0],
    cost: '10000000',
  },
];

export const kinds = [...texts, ...images, ...sound];
