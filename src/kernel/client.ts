import type { IncomingMessage } from 'node:http';
import { GatewayError } from './errors.ts';
import { clientAddress, type Networks } from './networks.ts';

/** Requests from the admin socket. Kept outside the request, where nothing a client sends can reach. */
const local = new WeakSet<IncomingMessage>();

export const markLocal = (request: IncomingMessage): void => void local.add(request);

/** Whether a request came by the admin socket, whose every caller is the operator. */
export const isLocal = (request: IncomingMessage): boolean => local.has(request);

/**
 * Where a request came from, for lists of addresses: empty for the admin socket alone. A connection that is gone already
 * has no address either, and must not be taken for the operator's.
 */
export function addressOf(request: IncomingMessage, trusted: Networks | undefined): string {
  return isLocal(request) ? '' : clientAddress(request, trusted) || 'unknown';
}

/** LiteLLM's words, which it has for the whole proxy. */
export const notAllowedFrom = (address: string) =>
  new GatewayError('forbidden', 'address_not_allowed', `Access forbidden: IP address ${address} not allowed.`);

/** @throws GatewayError 403 for whoever comes from elsewhere; the admin socket is nowhere else */
export function requireWithin(networks: Networks, address: string): void {
  if (address !== '' && !networks.has(address)) throw notAllowedFrom(address);
}
