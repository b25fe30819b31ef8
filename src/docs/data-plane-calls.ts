import { errorsOf } from './openapi-errors.ts';

/** A kind of call: what the gateway itself reads of it, and what is answered. Everything else is the provider's. */
interface Call {
  /** In snake_case; the first of the paths has it as its operationId. */
  readonly name: string;
  readonly summary: string;
  /** JSON, unless some of it are files. */
  readonly takes: 'application/json' | 'multipart/form-data';
  readonly fields: Readonly<Record<string, unknown>>;
  readonly required: readonly string[];
  readonly answers: Readonly<Record<string, unknown>>;
  /** By their ending: what is behind the model, or the version, in a path. */
  readonly paths: readonly (readonly [path: `/${string}`, ending: string])[];
}

const text = { type: 'string' };
const count = { type: 'integer', minimum: 1 };
const tokens = { type: 'integer', minimum: 0 };
const file = { type: 'string', format: 'binary' };
const stream = { type: 'boolean', default: false, description: 'Answer in server-sent events as it is made' };
const endUser = { ...text, description: 'The end user, for the spend log' };
const images = { type: 'object', properties: { data: { type: 'array', items: { type: 'object' } } } };
const json = (properties: Readonly<Record<string, unknown>>) => ({
  'application/json': { schema: { type: 'object', properties } },
});
const events = { 'text/event-stream': { schema: text } };
const list = { type: 'array', items: { type: 'object' } };

const usualPaths = (path: `/${string}`): Call['paths'] => [
  [`/v1${path}`, ''],
  [path, 'unversioned'],
];
const ofDeployment = (path: `/${string}`): Call['paths'][number] => [
  `/openai/deployments/{model}${path}`,
  'deployment',
];
const ofEngine = (path: `/${string}`): Call['paths'][number] => [`/engines/{model}${path}`, 'engine'];

const image = {
  n: { ...count, default: 1, description: 'Each image is reserved for' },
  size: { ...text, description: 'What models cost that are paid by the pixel' },
  quality: text,
  user: endUser,
};
const recording: Pick<Call, 'takes' | 'fields' | 'required' | 'answers'> = {
  takes: 'multipart/form-data',
  fields: { file, prompt: text, response_format: text, stream, user: endUser },
  required: ['file', 'model'],
  answers: { ...json({ text }), ...events, 'text/plain': { schema: text } },
};
const usage = { type: 'object', properties: { prompt_tokens: tokens, total_tokens: tokens } };

const calls: readonly Call[] = [
  {
    name: 'completions',
    summary: 'Complete a text',
    takes: 'application/json',
    fields: { prompt: {}, max_tokens: tokens, n: count, best_of: count, stream, user: endUser },
    required: ['prompt'],
    answers: { ...json({ choices: list, usage: { type: 'object' } }), ...events },
    paths: [...usualPaths('/completions'), ofDeployment('/completions'), ofEngine('/completions')],
  },
  {
    name: 'embeddings',
    summary: 'Turn texts into vectors',
    takes: 'application/json',
    fields: { input: {}, user: endUser },
    required: ['input'],
    answers: json({ data: list, usage }),
    paths: [...usualPaths('/embeddings'), ofDeployment('/embeddings'), ofEngine('/embeddings')],
  },
  {
    name: 'moderations',
    summary: 'Classify what is harmful',
    takes: 'application/json',
    fields: { input: {} },
    required: ['input'],
    answers: json({ results: list }),
    paths: usualPaths('/moderations'),
  },
  {
    name: 'images_generations',
    summary: 'Make images from a text',
    takes: 'application/json',
    fields: { prompt: text, ...image, stream },
    required: ['prompt'],
    answers: { 'application/json': { schema: images }, ...events },
    paths: [...usualPaths('/images/generations'), ofDeployment('/images/generations')],
  },
  {
    name: 'images_edits',
    summary: 'Make images from images and a text',
    takes: 'multipart/form-data',
    fields: { image: file, mask: file, prompt: text, ...image, stream },
    required: ['image', 'prompt'],
    answers: { 'application/json': { schema: images }, ...events },
    paths: [...usualPaths('/images/edits'), ofDeployment('/images/edits')],
  },
  {
    name: 'images_variations',
    summary: 'Make variations of an image',
    takes: 'multipart/form-data',
    fields: { image: file, ...image },
    required: ['image'],
    answers: { 'application/json': { schema: images } },
    paths: usualPaths('/images/variations'),
  },
  {
    name: 'audio_speech',
    summary: 'Speak a text',
    takes: 'application/json',
    fields: { input: { ...text, description: 'Its characters are what it costs' }, voice: {}, response_format: text },
    required: ['input'],
    answers: { 'audio/*': { schema: file }, ...events },
    paths: [...usualPaths('/audio/speech'), ofDeployment('/audio/speech')],
  },
  {
    ...recording,
    name: 'audio_transcriptions',
    summary: 'Write down what is said in a recording',
    paths: [...usualPaths('/audio/transcriptions'), ofDeployment('/audio/transcriptions')],
  },
  {
    ...recording,
    name: 'audio_translations',
    summary: 'Write down in English what is said in a recording',
    paths: [...usualPaths('/audio/translations'), ofDeployment('/audio/translations')],
  },
  {
    name: 'rerank',
    summary: 'Put documents in order for a query',
    takes: 'application/json',
    fields: { query: text, documents: { type: 'array' }, top_n: count, user: endUser },
    required: ['query', 'documents'],
    answers: json({ results: list, meta: { type: 'object' } }),
    paths: [...usualPaths('/rerank'), ['/v2/rerank', 'v2']],
  },
];

const model = { ...text, description: 'A public model name, as `GET /v1/models` lists them' };

export const modelInPath = {
  name: 'model',
  in: 'path',
  required: true,
  description: 'A public model name; one with slashes in it may be sent as it is',
  schema: { type: 'string' },
};

function describe({ name, summary, takes, fields, required, answers }: Call, path: string, ending: string) {
  const isInPath = path.includes('{model}');
  return {
    post: {
      operationId: ending === '' ? name : `${name}__${ending}`,
      tags: ['inference'],
      summary,
      ...(isInPath ? { parameters: [modelInPath] } : {}),
      requestBody: {
        required: true,
        content: {
          [takes]: {
            schema: {
              type: 'object',
              properties: { model, ...fields },
              required: isInPath ? required.filter((field) => field !== 'model') : required,
            },
          },
        },
      },
      responses: { 200: { description: 'What the model answered', content: answers }, ...errorsOf('data') },
    },
  };
}

/** The calls of models other than chats, at every path they have. */
export const callPaths: Readonly<Record<string, Readonly<Record<string, unknown>>>> = Object.fromEntries(
  calls.flatMap((call) => call.paths.map(([path, ending]) => [path, describe(call, path, ending)])),
);
