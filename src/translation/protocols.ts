import type { CallType } from '../metering/call.ts';
import type { UpstreamRequest } from '../proxy/providers/provider.ts';
import { chatProtocol } from './chat/protocol.ts';
import type { ClientProtocol } from './client-protocol.ts';
import { messagesProtocol } from './messages/messages-protocol.ts';

/** What clients speak, by the kind of their call. */
const protocols: ReadonlyMap<CallType, ClientProtocol> = new Map([
  ['chat_completion', chatProtocol],
  ['anthropic_messages', messagesProtocol],
]);

/** Providers that are asked for a chat in a protocol of their own. */
const ownProtocol: ReadonlySet<string> = new Set(['anthropic', 'bedrock', 'cohere', 'gemini', 'vertex_ai']);

/** Undefined where the provider speaks what the client speaks, or nothing is translated. */
export function protocolFor({ endpoint, deployment: { provider } }: UpstreamRequest): ClientProtocol | undefined {
  const isSpoken = endpoint.protocol === 'anthropic' ? provider === 'anthropic' : !ownProtocol.has(provider);
  return isSpoken || provider === 'mock' ? undefined : protocols.get(endpoint.callType);
}

/** Only Anthropic tells for nothing how long a message would be. */
export const isCountedHere = ({ endpoint, deployment: { provider } }: UpstreamRequest): boolean =>
  endpoint.callType === 'count_tokens' && provider !== 'anthropic' && provider !== 'mock';
