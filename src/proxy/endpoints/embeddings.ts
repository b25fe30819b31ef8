import type { Endpoint, RequestSource } from './endpoint.ts';
import { JsonRequest, modelOf, readJson } from './json-request.ts';
import { readInputTokens } from './token-usage.ts';

/** OpenAI's embeddings (https://platform.openai.com/docs/api-reference/embeddings). */
export const embeddings: Endpoint = {
  callType: 'embedding',
  path: '/embeddings',
  read: (source) => readInput(source),
  readAnswer: ({ data, usage }) =>
    Array.isArray(data) ? { usage, serviceTier: undefined, written: () => '' } : undefined,
  readUsage: readInputTokens,
};

/** OpenAI's moderations (https://platform.openai.com/docs/api-reference/moderations), which report no usage. */
export const moderations: Endpoint = {
  callType: 'moderation',
  path: '/moderations',
  read: (source) => readInput(source, defaultModel),
  readAnswer: ({ results, usage }) =>
    Array.isArray(results) ? { usage, serviceTier: undefined, written: () => '' } : undefined,
  readUsage: readInputTokens,
};

/** OpenAI's own, where a request names none. */
const defaultModel = 'omni-moderation-latest';

function readInput(source: RequestSource, otherwise?: string): JsonRequest {
  const body = readJson(source);
  return new JsonRequest(
    body,
    modelOf(body.fields, source.parameter ?? (body.fields['model'] == null ? otherwise : undefined)),
    { maxCompletionTokens: 0 },
  );
}
