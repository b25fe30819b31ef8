import { isRecord } from '../kernel/record.ts';
import { chatCompletions } from '../proxy/endpoints/chat-completions.ts';
import type { Fit } from '../proxy/endpoints/endpoint.ts';
import type { Provider, Receiver, UpstreamCall, UpstreamRequest } from '../proxy/providers/provider.ts';
import type { Outgoing } from './upstream-fetch.ts';

/** Makes a chat completion of what a package has written, and sends it as any other: its path, credential and limits are the provider's. */
export function openAs(provider: Provider, request: UpstreamRequest) {
  return ({ body }: Outgoing, receiver: Receiver): UpstreamCall => {
    const asked = {
      ...request.asked,
      fields: {},
      path: undefined,
      headers: [],
      contentType: 'application/json',
      bodyFor: (_: string, fit?: Fit) => (fit ? fitted(body, fit) : body),
    };
    const { path: _, ...plain } = asked;
    return provider.send({ ...request, endpoint: chatCompletions, asked: plain }, receiver);
  };
}

function fitted(body: Buffer, fit: Fit): Buffer {
  const fields: unknown = JSON.parse(body.toString());
  return isRecord(fields) ? Buffer.from(JSON.stringify(fit(fields))) : body;
}
