import type { Deployment } from '../models/deployment.ts';

type Body = Readonly<Record<string, unknown>>;

/** OpenAI's models that think, wherever they are: these refuse `max_tokens`. */
const thinks = /^(?:o\d|gpt-(?:[5-9]|\d{2}))/;

/**
 * OpenAI calls the limit of an answer otherwise today than everybody who speaks as OpenAI once did. A limit under a name
 * that a server does not know is none, and the answer dearer than what was set aside for it: so the name of today goes to
 * OpenAI itself, and to models of OpenAI's that take no other.
 */
export function bodyFor(
  { provider, apiBase }: Deployment,
  { max_tokens: most, ...body }: Body,
): Record<string, unknown> {
  if (most === undefined) return body;
  const { model } = body;
  const isOpenAIs = provider === 'openai' && apiBase === undefined;
  const isNamedSo = (provider === 'openai' || provider === 'azure') && typeof model === 'string' && thinks.test(model);
  return isOpenAIs || isNamedSo ? { ...body, max_completion_tokens: most } : { ...body, max_tokens: most };
}
