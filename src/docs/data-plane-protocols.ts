import { errorsOf } from './openapi-errors.ts';

const json = (schema: unknown) => ({ 'application/json': { schema } });
const events = { 'text/event-stream': { schema: { type: 'string' } } };
const tokens = { type: 'integer', minimum: 0 };
const model = { type: 'string', description: 'A public model name, as `GET /v1/models` lists them' };
const stream = { type: 'boolean', default: false, description: 'Answer in server-sent events as the text is made' };

const responseId = {
  name: 'response_id',
  in: 'path',
  required: true,
  description: 'As the gateway gave it: of others, and of whoever it was not made for, there is no response',
  schema: { type: 'string' },
};

const responseRequest = {
  type: 'object',
  properties: {
    model,
    input: {
      description: 'A text, or items',
      oneOf: [{ type: 'string' }, { type: 'array', items: { type: 'object' } }],
    },
    stream,
    max_output_tokens: { ...tokens, description: 'Bounds what is reserved from the budget' },
    previous_response_id: { type: 'string', description: 'As the gateway gave it' },
    user: { type: 'string', description: 'The end user, for the spend log' },
  },
  required: ['model'],
};

const response = {
  type: 'object',
  properties: {
    id: { type: 'string', description: 'A name of the gateway: it holds where the response is, and whose' },
    object: { const: 'response' },
    status: { type: 'string' },
    output: { type: 'array', items: { type: 'object' } },
    usage: {
      type: ['object', 'null'],
      properties: { input_tokens: tokens, output_tokens: tokens, total_tokens: tokens },
    },
  },
};

const makeResponse = (operationId: string) => ({
  post: {
    operationId,
    tags: ['inference'],
    summary: 'Make a response',
    requestBody: { required: true, content: json(responseRequest) },
    responses: {
      200: { description: 'What the model answered', content: { ...json(response), ...events } },
      ...errorsOf('data'),
    },
  },
});

const deed = (operationId: string, summary: string, query: readonly string[] = []) => ({
  operationId,
  tags: ['inference'],
  summary,
  parameters: [responseId, ...query.map((name) => ({ name, in: 'query', schema: { type: 'string' } }))],
  responses: {
    200: { description: 'As the provider answers', content: json({ type: 'object' }) },
    ...errorsOf('data'),
  },
});

/** The same at both of its places. @param suffix makes the names of operations at the second unique */
const responsePaths = (head: string, suffix: string) => ({
  [head]: makeResponse(`responses${suffix}`),
  [`${head}/{response_id}`]: {
    get: deed(`response_get${suffix}`, 'Show a response', ['include']),
    delete: deed(`response_delete${suffix}`, 'Delete a response'),
  },
  [`${head}/{response_id}/cancel`]: { post: deed(`response_cancel${suffix}`, 'Cancel a response') },
  [`${head}/{response_id}/input_items`]: {
    get: deed(`response_input_items${suffix}`, 'List what a response was made of', [
      'after',
      'before',
      'limit',
      'order',
      'include',
    ]),
  },
});

const messageFields = {
  model,
  messages: {
    type: 'array',
    items: { type: 'object', properties: { role: { type: 'string' } }, required: ['role'] },
  },
};

const messagesRequest = {
  type: 'object',
  properties: {
    ...messageFields,
    max_tokens: { type: 'integer', minimum: 1, description: 'Bounds what is reserved from the budget' },
    stream,
    metadata: {
      type: 'object',
      properties: { user_id: { type: 'string', description: 'The end user, for the spend log' } },
    },
  },
  required: ['model', 'messages', 'max_tokens'],
};

const message = {
  type: 'object',
  properties: {
    id: { type: 'string' },
    type: { const: 'message' },
    content: { type: 'array', items: { type: 'object' } },
    stop_reason: { type: ['string', 'null'] },
    usage: {
      type: 'object',
      properties: {
        input_tokens: tokens,
        cache_creation_input_tokens: tokens,
        cache_read_input_tokens: tokens,
        output_tokens: tokens,
      },
    },
  },
};

const messagesError = {
  type: 'object',
  properties: {
    type: { const: 'error' },
    error: {
      type: 'object',
      properties: {
        type: { type: 'string', description: "Anthropic's name for it, such as rate_limit_error" },
        message: { type: 'string' },
        code: { type: 'string', description: 'The type it has on every other route, such as budget_exceeded' },
        param: { type: ['string', 'null'] },
        kind: { type: 'string' },
        hint: { type: ['string', 'null'] },
      },
      required: ['type', 'message'],
    },
    request_id: { type: 'string' },
  },
  required: ['type', 'error'],
};

const versions = ['anthropic-version', 'anthropic-beta'].map((name) => ({
  name,
  in: 'header',
  description: 'Passed on to Anthropic',
  schema: { type: 'string' },
}));

const anthropic = (
  operationId: string,
  summary: string,
  { asked, answered }: { asked: unknown; answered: object },
) => ({
  post: {
    operationId,
    tags: ['inference'],
    summary,
    parameters: versions,
    requestBody: { required: true, content: json(asked) },
    responses: {
      200: { description: 'What Anthropic answered', content: answered },
      default: { description: 'A refusal or a failure, as Anthropic’s clients read it', content: json(messagesError) },
    },
  },
});

/** The protocols beside OpenAI's older ones. */
export const protocolPaths: Readonly<Record<string, Readonly<Record<string, unknown>>>> = {
  ...responsePaths('/v1/responses', ''),
  ...responsePaths('/responses', '__unversioned'),
  '/v1/messages': anthropic('messages', "Send messages to a model that speaks Anthropic's protocol", {
    asked: messagesRequest,
    answered: { ...json(message), ...events },
  }),
  '/v1/messages/count_tokens': anthropic('messages_count_tokens', 'Count the tokens of messages, for nothing', {
    asked: { type: 'object', properties: messageFields, required: ['model', 'messages'] },
    answered: json({ type: 'object', properties: { input_tokens: tokens } }),
  }),
};
