import type { IncomingMessage } from 'node:http';
import { BlockList, isIP } from 'node:net';

interface Network {
  readonly address: string;
  readonly family: 'ipv4' | 'ipv6';
  /** Bits that count, from the left. */
  readonly prefix: number;
}

/** An IPv4 address that came in by an IPv6 socket, as the address it is; a link-local one without its zone. */
export function plainAddress(address: string | undefined): string {
  const bare = (address ?? '').split('%')[0] ?? '';
  return /^::ffff:[\d.]+$/i.test(bare) ? bare.slice(7) : bare;
}

/** An address such as `192.0.2.7`, or a network such as `10.0.0.0/8` or `2001:db8::/32` (RFC 4632, RFC 4291). */
export function parseNetwork(text: string): Network | undefined {
  const [, host = '', bits] = /^([^/]+)(?:\/(\d{1,3}))?$/.exec(text.trim()) ?? [];
  const address = plainAddress(host);
  const version = host.includes('%') ? 0 : isIP(address);
  if (version === 0) return undefined;
  const most = version === 4 ? 32 : 128;
  // The bits of a mapped network are counted from where its IPv4 part begins.
  const isMapped = version === 4 && host.includes(':');
  const prefix = bits === undefined ? most : Number(bits) - (isMapped ? 96 : 0);
  if (prefix < 0 || prefix > most) return undefined;
  return { address, family: version === 4 ? 'ipv4' : 'ipv6', prefix };
}

/** Addresses and networks, of which each is one that an address may be in. Texts that are neither are passed over. */
export class Networks {
  readonly #list = new BlockList();
  readonly texts: readonly string[];

  constructor(texts: readonly string[]) {
    this.texts = texts;
    for (const text of texts) {
      const network = parseNetwork(text);
      if (network) this.#list.addSubnet(network.address, network.prefix, network.family);
    }
  }

  /** @param address as `plainAddress` gives it; what is no address is in no network */
  has(address: string): boolean {
    const version = isIP(address);
    return version !== 0 && this.#list.check(address, version === 4 ? 'ipv4' : 'ipv6');
  }
}

/** Whether all addresses of a network are in one of those held. */
export function coversNetwork(held: readonly string[], wanted: string): boolean {
  const network = parseNetwork(wanted);
  if (!network) return false;
  return held.some((text) => {
    const other = parseNetwork(text);
    return other !== undefined && other.prefix <= network.prefix && new Networks([text]).has(network.address);
  });
}

/** What a forwarded address is when it is none: in no list. */
const UNKNOWN = 'unknown';

/**
 * Whose request it is. The peer, unless that is a proxy that the operator trusts: then the last address in its
 * `X-Forwarded-For` that is no such proxy, because everything to the left of that one is what the client claims.
 *
 * @returns empty for a Unix socket
 */
export function clientAddress({ socket, headers }: IncomingMessage, trusted: Networks | undefined): string {
  const peer = plainAddress(socket.remoteAddress);
  if (!trusted?.has(peer)) return peer;
  const forwarded = headers['x-forwarded-for'];
  if (typeof forwarded !== 'string') return peer;
  for (const text of forwarded.split(',').toReversed()) {
    const address = addressIn(text.trim());
    if (address === undefined) return UNKNOWN;
    if (!trusted.has(address)) return address;
  }
  return peer;
}

/** Some proxies add the port: `192.0.2.7:1234`, `[2001:db8::1]:1234`. */
function addressIn(text: string): string | undefined {
  const address = plainAddress(/^\[([^\]]+)\](?::\d+)?$/.exec(text)?.[1] ?? /^([\d.]+):\d+$/.exec(text)?.[1] ?? text);
  return isIP(address) === 0 ? undefined : address;
}
