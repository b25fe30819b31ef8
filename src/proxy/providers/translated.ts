import type { CallType } from '../../metering/call.ts';
import type { Destination } from './provider.ts';

type Called = Pick<Destination, 'endpoint' | 'deployment'>;

const translatable: ReadonlySet<CallType> = new Set(['chat_completion', 'anthropic_messages']);

/** Providers that are asked for a chat in a protocol of their own. */
const ownProtocol: ReadonlySet<string> = new Set(['anthropic', 'bedrock', 'cohere', 'gemini', 'vertex_ai']);

/** Whether a call goes to its provider in another protocol than the client's. */
export function isTranslated({ endpoint, deployment: { provider } }: Called): boolean {
  if (provider === 'mock' || !translatable.has(endpoint.callType)) return false;
  return endpoint.protocol === 'anthropic' ? provider !== 'anthropic' : ownProtocol.has(provider);
}

/** Only Anthropic tells for nothing how long a message would be. */
export const isCountedHere = ({ endpoint, deployment: { provider } }: Called): boolean =>
  endpoint.callType === 'count_tokens' && provider !== 'anthropic' && provider !== 'mock';

/** Whose embeddings are neither OpenAI's nor at an address that takes those. */
const apart: ReadonlySet<string> = new Set(['bedrock', 'vertex_ai']);

/** Whether texts are embedded by a protocol of the provider's own. */
export const isEmbeddedApart = ({ endpoint, deployment: { provider } }: Called): boolean =>
  endpoint.callType === 'embedding' && apart.has(provider);
