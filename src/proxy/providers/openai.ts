import type { Dialect } from '../upstream.ts';

/** OpenAI, and whatever speaks as it does: the deployment's `api_base` says where. */
export const openai: Dialect = {
  apiBase: 'https://api.openai.com/v1',
  pathOf: ({ endpoint, asked }) => (endpoint.protocol === undefined ? (asked.path ?? endpoint.path) : undefined),
  authorize: (apiKey) => ['authorization', `Bearer ${apiKey}`],
};
