import { errorsOf } from './openapi-errors.ts';

const text = { type: 'string' };
const json = (schema: unknown) => ({ 'application/json': { schema } });
const object = json({ type: 'object' });
const bytes = { 'application/octet-stream': { schema: { type: 'string', format: 'binary' } } };

interface Deed {
  readonly name: string;
  readonly summary: string;
  readonly parameters?: readonly object[];
  readonly body?: object;
  readonly answers?: object;
}

const deed = ({ name, summary, parameters, body, answers = object }: Deed, suffix: string) => ({
  operationId: name + suffix,
  tags: ['inference'],
  summary,
  ...(parameters && { parameters }),
  ...(body && { requestBody: { required: true, content: body } }),
  responses: { 200: { description: 'As the provider answers', content: answers }, ...errorsOf('data') },
});

const inPath = (name: string) => ({ name, in: 'path', required: true, schema: text });
const query = (...names: readonly string[]) => names.map((name) => ({ name, in: 'query', schema: text }));
const fileId = [inPath('file_id')];
const batchId = [inPath('batch_id')];

const upload = {
  'multipart/form-data': {
    schema: {
      type: 'object',
      properties: {
        file: { type: 'string', format: 'binary' },
        purpose: { ...text, description: 'Each line of a file for batch is a call, and all are for one model' },
        model: { ...text, description: 'Whose deployment keeps the file' },
        target_model_names: { ...text, description: 'The same; one name' },
        custom_llm_provider: { ...text, description: 'A provider, where no model is named; openai without it' },
      },
      required: ['file', 'purpose'],
    },
  },
};

const batch = json({
  type: 'object',
  properties: {
    input_file_id: { ...text, description: 'A file with the purpose batch; the batch goes where it is' },
    endpoint: text,
    completion_window: text,
    metadata: { type: 'object' },
  },
  required: ['input_file_id', 'endpoint'],
});

/** The same at both of its places. @param suffix makes the names of operations at the second unique */
const paths = (head: string, suffix: string) => ({
  [`${head}/files`]: {
    post: deed({ name: 'file_create', summary: 'Give a provider a file', body: upload }, suffix),
    get: deed(
      {
        name: 'file_list',
        summary: 'List the caller’s files',
        parameters: query('purpose', 'limit', 'after', 'order'),
      },
      suffix,
    ),
  },
  [`${head}/files/{file_id}`]: {
    get: deed({ name: 'file_get', summary: 'Show a file', parameters: fileId }, suffix),
    delete: deed({ name: 'file_delete', summary: 'Delete a file', parameters: fileId }, suffix),
  },
  [`${head}/files/{file_id}/content`]: {
    get: deed({ name: 'file_content', summary: 'Read a file', parameters: fileId, answers: bytes }, suffix),
  },
  [`${head}/batches`]: {
    post: deed({ name: 'batch_create', summary: 'Make the calls in a file', body: batch }, suffix),
    get: deed(
      { name: 'batch_list', summary: 'List the caller’s batches', parameters: query('limit', 'after', 'order') },
      suffix,
    ),
  },
  [`${head}/batches/{batch_id}`]: {
    get: deed({ name: 'batch_get', summary: 'Show a batch', parameters: batchId }, suffix),
  },
  [`${head}/batches/{batch_id}/cancel`]: {
    post: deed({ name: 'batch_cancel', summary: 'Cancel a batch', parameters: batchId }, suffix),
  },
});

/** Files and batches, which providers keep. */
export const filePaths: Readonly<Record<string, Readonly<Record<string, unknown>>>> = {
  ...paths('/v1', ''),
  ...paths('', '__unversioned'),
};
