import { lookup, type LookupAddress } from 'node:dns';
import type { LookupFunction } from 'node:net';
import type { buildConnector } from 'undici';
import { type Reach, reachOf, reachOfHost } from '../kernel/reach.ts';
import type { OwnPlaces } from './own-places.ts';

/** Which addresses may be connected to. */
export type Allowed = 'public' | 'private';

/** All addresses of a name, as `dns.lookup` with `all` gives them. */
export type Resolve = (
  hostname: string,
  options: Parameters<LookupFunction>[1] & { all: true },
  done: (error: NodeJS.ErrnoException | null, addresses: LookupAddress[]) => void,
) => void;

/** No connection was made, because of where it would have led. The message is for the log: it names addresses of ours. */
export class AddressRefused extends Error {
  readonly code = 'EGRESS_ADDRESS_REFUSED';
}

/** @param reach undefined where nothing can be said yet */
function fault(where: string, reach: Reach | undefined, allowed: Allowed): AddressRefused | undefined {
  if (reach === undefined || reach === 'public' || reach === allowed) return undefined;
  return new AddressRefused(
    reach === 'private'
      ? `${where} is not public; a model says allow_private_network where that is meant, an issuer its jwks_url`
      : `${where} is never connected to: clouds have credentials there`,
  );
}

/**
 * Looks a name up and hands its addresses on, if every one of them may be connected to. The sockets connect to what was
 * checked here and ask no second time, so that a name that means something else by then (DNS rebinding) gains nothing.
 */
export const checkedLookup =
  (allowed: Allowed, resolve: Resolve = lookup): LookupFunction =>
  (hostname, options, callback) => {
    const faultOf = (address: string) =>
      fault(`${hostname} has the address ${address}, which`, reachOf(address), allowed);
    resolve(hostname, { ...options, all: true }, (error, addresses) => {
      const refused = error ?? addresses.map(({ address }) => faultOf(address)).find(Boolean);
      if (refused) return callback(refused, []);
      const [first] = addresses;
      if (!first) return callback(new Error(`${hostname} has no address`), []);
      return options.all ? callback(null, addresses) : callback(null, first.address, first.family);
    });
  };

/**
 * An address that stands in a URL is looked up by nobody, so it is checked before; and so are names that are as good.
 *
 * @param own where nothing leads, whatever is allowed
 */
export function guarded(
  connect: buildConnector.connector,
  allowed: Allowed,
  own: OwnPlaces | undefined,
): buildConnector.connector {
  return (options, callback) => {
    const { hostname, port } = options;
    const refused = own?.isNamed(hostname, portOf(options))
      ? ownPlace(hostname, port)
      : fault(hostname, reachOfHost(hostname), allowed);
    // Not at once: undici has just begun to wait for it.
    if (refused) return queueMicrotask(() => callback(refused, null));
    return connect(options, (...[error, socket]) => {
      if (error) return callback(error, null);
      if (!own?.isMet(socket)) return callback(null, socket);
      socket.destroy();
      return callback(ownPlace(hostname, port), null);
    });
  };
}

const portOf = ({ protocol, port }: buildConnector.Options): number =>
  Number(port) || (protocol === 'https:' ? 443 : 80);

const ownPlace = (hostname: string, port: string): AddressRefused =>
  new AddressRefused(`${hostname}:${port} is the gateway itself, its database or its Redis`);
