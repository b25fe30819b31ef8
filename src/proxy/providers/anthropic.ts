import type { Dialect } from '../upstream.ts';

/** Anthropic, and whatever speaks as it does: the deployment's `api_base` says where. */
export const anthropic: Dialect = {
  apiBase: 'https://api.anthropic.com',
  pathOf: ({ endpoint }) => (endpoint.protocol === 'anthropic' ? `/v1${endpoint.path}` : undefined),
  authorize: (apiKey) => ['x-api-key', apiKey],
  headers: ({ asked }) => asked.headers ?? [],
};
