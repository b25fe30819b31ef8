import { GatewayError } from '../kernel/errors.ts';
import { type Deployment, mayBePrivate } from '../models/deployment.ts';
import type { Receiver, UpstreamCall, UpstreamRequest } from '../proxy/providers/provider.ts';
import type { Transport } from '../proxy/upstream.ts';
import type { Outgoing } from './upstream-fetch.ts';

/** Where a deployment's calls go, and nothing else. */
export interface Place {
  /** With the path below which all calls are; without a slash at its end. */
  readonly baseURL: string;
  /** Whether the operator has chosen it, and not the provider. */
  readonly isOwn: boolean;
}

export const misconfigured = ({ name }: Deployment, what: string): GatewayError =>
  new GatewayError('upstream', 'upstream_misconfigured', `A deployment of ${name} is not usable: ${what}`);

/** @param usual the provider's own; absent where only the operator can say where it is */
export function placeOf(deployment: Deployment, usual: string, path = ''): Place {
  const base = deployment.apiBase ?? usual;
  if (!URL.canParse(base)) throw misconfigured(deployment, 'its api_base is no URL');
  return { baseURL: base + path, isOwn: new URL(base).origin !== new URL(usual).origin };
}

/** Sends to a deployment's place, and refuses what would go anywhere else. */
export function sendTo(place: Place, transport: Transport, request: UpstreamRequest) {
  const base = new URL(place.baseURL);
  return ({ url, headers, body }: Outgoing, receiver: Receiver): UpstreamCall => {
    if (url.origin !== base.origin || !url.pathname.startsWith(`${base.pathname.replace(/\/$/, '')}/`)) {
      throw misconfigured(request.deployment, 'its provider’s package wanted to call another address');
    }
    const all = { ...headers, 'x-request-id': request.id };
    return transport.relay(
      {
        origin: url.origin,
        path: url.pathname + url.search,
        method: 'POST',
        headers: Object.entries(all).flat(),
        body,
        firstByteMs: transport.firstByteMsOf(request),
        isPrivate: mayBePrivate(request.deployment, place.isOwn),
      },
      receiver,
    );
  };
}
