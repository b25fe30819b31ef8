import { filePaths } from './data-plane-files.ts';
import { protocolPaths } from './data-plane-protocols.ts';
import { callPaths, modelInPath } from './data-plane-calls.ts';
import { errorsOf } from './openapi-errors.ts';

/**
 * What the daemon serves besides operations. The bodies are the providers': only what the gateway itself reads is
 * described, and everything else is handed on as it came.
 */
export const dataPlaneTags = [
  { name: 'inference', description: "The providers' own protocols, behind virtual keys" },
  { name: 'health', description: 'Whether the daemon lives and can serve; no key is needed' },
];

const json = (schema: unknown) => ({ 'application/json': { schema } });

const tokens = { type: 'integer', minimum: 0 };

const chatRequest = {
  type: 'object',
  properties: {
    model: { type: 'string', description: 'A public model name, as `GET /v1/models` lists them' },
    messages: {
      type: 'array',
      items: { type: 'object', properties: { role: { type: 'string' } }, required: ['role'] },
    },
    stream: { type: 'boolean', default: false, description: 'Answer in server-sent events as the text is made' },
    stream_options: { type: 'object', properties: { include_usage: { type: 'boolean' } } },
    max_completion_tokens: { ...tokens, description: 'Bounds what is reserved from the budget' },
    user: { type: 'string', description: 'The end user, for the spend log' },
  },
  required: ['messages'],
};

const chatResponse = {
  type: 'object',
  properties: {
    id: { type: 'string' },
    object: { const: 'chat.completion' },
    created: { type: 'integer' },
    model: { type: 'string' },
    choices: { type: 'array', items: { type: 'object' } },
    usage: { type: 'object', properties: { prompt_tokens: tokens, completion_tokens: tokens, total_tokens: tokens } },
  },
};

const chat = (operationId: string, parameters: readonly unknown[] = []) => ({
  post: {
    operationId,
    tags: ['inference'],
    summary: 'Chat with a model',
    ...(parameters.length > 0 ? { parameters } : {}),
    requestBody: { required: true, content: json(chatRequest) },
    responses: {
      200: {
        description: 'What the model answered',
        content: { ...json(chatResponse), 'text/event-stream': { schema: { type: 'string' } } },
      },
      ...errorsOf('data'),
    },
  },
});

const model = {
  type: 'object',
  properties: {
    id: { type: 'string' },
    object: { const: 'model' },
    created: { type: 'integer' },
    owned_by: { type: 'string' },
  },
  required: ['id', 'object', 'created', 'owned_by'],
};

const models = {
  type: 'object',
  properties: { object: { const: 'list' }, data: { type: 'array', items: model } },
  required: ['object', 'data'],
};

const wildcards = {
  name: 'return_wildcard_routes',
  in: 'query',
  description: 'List patterns such as `openai/*` too',
  schema: { type: 'boolean', default: false },
};

const list = (operationId: string) => ({
  get: {
    operationId,
    tags: ['inference'],
    summary: 'List the models the key may call',
    parameters: [wildcards],
    responses: { 200: { description: 'The models', content: json(models) }, ...errorsOf('data') },
  },
});

const show = (operationId: string) => ({
  get: {
    operationId,
    tags: ['inference'],
    summary: 'Show one model the key may call',
    parameters: [modelInPath],
    responses: { 200: { description: 'The model', content: json(model) }, ...errorsOf('data') },
  },
});

const counted = {
  type: 'object',
  properties: {
    total_tokens: tokens,
    request_model: { type: 'string' },
    model_used: { type: 'string' },
    tokenizer_type: { const: 'openai_tokenizer' },
  },
};

const count = {
  post: {
    operationId: 'token_counter',
    tags: ['inference'],
    summary: 'Count the tokens of a text or of messages, without a call',
    requestBody: {
      required: true,
      content: json({
        type: 'object',
        properties: {
          model: { type: 'string' },
          prompt: { type: ['string', 'array'] },
          messages: { type: 'array', items: { type: 'object' } },
        },
        required: ['model'],
      }),
    },
    responses: { 200: { description: 'How many there are', content: json(counted) }, ...errorsOf('data') },
  },
};
const inPrefix = {
  name: 'provider',
  in: 'path',
  required: true,
  description: 'Whose API is called',
  schema: {
    enum: [
      'openai',
      'anthropic',
      'azure',
      'gemini',
      'vertex_ai',
      'vertex-ai',
      'bedrock',
      'cohere',
      'mistral',
      'vllm',
      'assemblyai',
      'groq',
      'together',
      'langfuse',
    ],
  },
};
const belowPrefix = {
  name: 'path',
  in: 'path',
  required: true,
  description: 'A path of that API, with its slashes',
  schema: { type: 'string' },
};
const anything = { '*/*': { schema: {} } };

const passThrough = (method: string) => ({
  operationId: `pass_through__${method}`,
  tags: ['inference'],
  summary: "Call a provider's own API",
  parameters: [inPrefix, belowPrefix],
  ...(method === 'get' ? {} : { requestBody: { content: anything } }),
  responses: { 200: { description: 'What the provider answered, as it did', content: anything }, ...errorsOf('data') },
});

const alive = (operationId: string) => ({
  get: {
    operationId,
    tags: ['health'],
    summary: 'Tell whether the process lives',
    security: [],
    responses: { 200: { description: 'It does', content: json({ type: 'string' }) } },
  },
});

const readiness = {
  type: 'object',
  properties: {
    status: { enum: ['connected', 'not connected', 'draining'] },
    db: { enum: ['connected', 'Not connected'] },
    limits: {
      type: 'object',
      properties: {
        counted_in: { enum: ['redis', 'postgresql', null] },
        without_shared_store: { enum: ['per_instance', 'refuse'] },
      },
      required: ['counted_in', 'without_shared_store'],
    },
    version: { type: 'string' },
  },
  required: ['status', 'db', 'limits', 'version'],
};

const ready = {
  get: {
    operationId: 'health_readiness',
    tags: ['health'],
    summary: 'Tell whether requests can be served',
    security: [],
    responses: {
      200: { description: 'They can', content: json(readiness) },
      503: { description: 'Not now: the database is away, or the daemon is stopping', content: json(readiness) },
    },
  },
};

export const dataPlanePaths: Readonly<Record<string, Readonly<Record<string, unknown>>>> = {
  '/v1/chat/completions': chat('chat_completions'),
  '/chat/completions': chat('chat_completions__unversioned'),
  '/openai/deployments/{model}/chat/completions': chat('chat_completions__deployment', [modelInPath]),
  '/engines/{model}/chat/completions': chat('chat_completions__engine', [modelInPath]),
  ...callPaths,
  '/utils/token_counter': count,
  '/v1/models': list('models'),
  '/models': list('models__unversioned'),
  '/v1/models/{model}': show('model'),
  '/models/{model}': show('model__unversioned'),
  ...protocolPaths,
  ...filePaths,
  '/{provider}/{path}': Object.fromEntries(
    ['get', 'post', 'put', 'patch', 'delete'].map((method) => [method, passThrough(method)]),
  ),
  '/health/liveliness': alive('health_liveliness'),
  '/health/liveness': alive('health_liveness'),
  '/health/readiness': ready,
};
