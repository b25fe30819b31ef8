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

const usage = {
  type: 'object',
  properties: {
    prompt_tokens: { type: 'integer' },
    completion_tokens: { type: 'integer' },
    total_tokens: { type: 'integer' },
  },
};

const chatRequest = {
  type: 'object',
  properties: {
    model: { type: 'string', description: 'A public model name, as `GET /v1/models` lists them' },
    messages: {
      type: 'array',
      minItems: 1,
      items: {
        type: 'object',
        properties: { role: { type: 'string' } },
        required: ['role'],
        additionalProperties: true,
      },
    },
    stream: { type: 'boolean', default: false, description: 'Answer in server-sent events as the text is made' },
    max_completion_tokens: { type: 'integer', minimum: 1, description: 'Bounds what is reserved from the budget' },
  },
  required: ['model', 'messages'],
  additionalProperties: true,
};

const chatResponse = {
  type: 'object',
  properties: {
    id: { type: 'string' },
    object: { const: 'chat.completion' },
    created: { type: 'integer' },
    model: { type: 'string' },
    choices: { type: 'array', items: { type: 'object', additionalProperties: true } },
    usage,
  },
  additionalProperties: true,
};

const chat = (operationId: string) => ({
  post: {
    operationId,
    tags: ['inference'],
    summary: 'Chat with a model',
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

const modelList = {
  type: 'object',
  properties: {
    object: { const: 'list' },
    data: {
      type: 'array',
      items: {
        type: 'object',
        properties: {
          id: { type: 'string' },
          object: { const: 'model' },
          created: { type: 'integer' },
          owned_by: { type: 'string' },
        },
        required: ['id', 'object'],
      },
    },
  },
  required: ['object', 'data'],
};

const models = (operationId: string) => ({
  get: {
    operationId,
    tags: ['inference'],
    summary: 'List the models the key may call',
    responses: { 200: { description: 'The models', content: json(modelList) }, ...errorsOf('data') },
  },
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
  properties: { status: { type: 'string' }, db: { type: 'string' } },
  additionalProperties: true,
};

export const dataPlanePaths: Readonly<Record<string, Readonly<Record<string, unknown>>>> = {
  '/v1/chat/completions': chat('chat_completions'),
  '/chat/completions': chat('chat_completions__unversioned'),
  '/v1/models': models('models'),
  '/models': models('models__unversioned'),
  '/health/liveliness': alive('health_liveliness'),
  '/health/liveness': alive('health_liveness'),
  '/health/readiness': {
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
  },
};
