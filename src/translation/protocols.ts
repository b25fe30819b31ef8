import type { CallType } from '../metering/call.ts';
import type { UpstreamRequest } from '../proxy/providers/provider.ts';
import { isTranslated } from '../proxy/providers/translated.ts';
import { chatProtocol } from './chat/protocol.ts';
import type { ClientProtocol } from './client-protocol.ts';
import { messagesProtocol } from './messages/messages-protocol.ts';

/** What clients speak, by the kind of their call. */
const protocols: ReadonlyMap<CallType, ClientProtocol> = new Map([
  ['chat_completion', chatProtocol],
  ['anthropic_messages', messagesProtocol],
]);

/** Undefined where the provider speaks what the client speaks, or nothing is translated. */
export const protocolFor = (request: UpstreamRequest): ClientProtocol | undefined =>
  isTranslated(request) ? protocols.get(request.endpoint.callType) : undefined;
