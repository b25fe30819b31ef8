import { isIP } from 'node:net';
import { Networks } from './networks.ts';

/**
 * Who is reached at an address. `public`: the internet. `private`: this machine, the networks around it, and what leads
 * there. `forbidden`: what a cloud tells the machine that runs in it, credentials among it; no model is there.
 */
export type Reach = 'public' | 'private' | 'forbidden';

/**
 * Link-local as a whole: AWS, Azure, Google and most others have their metadata at 169.254.169.254, AWS hands out
 * credentials at 169.254.170.2 and .23 too, Scaleway at 169.254.42.42, OpenStack at fe80::a9fe:a9fe. The others in turn:
 * Alibaba, Oracle, Azure's host; AWS, Google, Oracle and Scaleway over IPv6.
 */
const metadata4 = ['169.254.0.0/16', '100.100.100.200/32', '192.0.0.192/32', '168.63.129.16/32'] as const;
const metadata6 = ['fe80::/10', 'fd00:ec2::/32', 'fd20:ce::/32', 'fd00:c1::/32', 'fd00:42::/32'];
/** The same of IPv4 as 6to4 (RFC 3056) spells them. A mapped address (`::ffff:…`) is compared as what it maps to. */
const metadataIn6to4 = ['2002:a9fe::/32', '2002:6464:64c8::/48', '2002:c000:c0::/48', '2002:a83f:8110::/48'];
/** In front of the bits of an IPv4 address: NAT64 (RFC 6052, RFC 8215), and what came before it. */
const translations = ['64:ff9b::', '64:ff9b:1::', '::'];

const forbidden = new Networks([
  ...metadata4,
  ...metadata6,
  ...metadataIn6to4,
  ...metadata4.flatMap((network) => {
    const [address = '', bits] = network.split('/');
    return translations.map((prefix) => `${prefix}${address}/${96 + Number(bits)}`);
  }),
]);

/** IANA's registry of special addresses (RFC 6890), as far as these are not the internet's. */
const private4 = new Networks([
  '0.0.0.0/8',
  '10.0.0.0/8',
  '100.64.0.0/10',
  '127.0.0.0/8',
  '172.16.0.0/12',
  '192.0.0.0/24',
  '192.0.2.0/24',
  '192.88.99.0/24',
  '192.168.0.0/16',
  '198.18.0.0/15',
  '198.51.100.0/24',
  '203.0.113.0/24',
  '224.0.0.0/4',
  '240.0.0.0/4',
]);

/**
 * All but 2000::/3, from which the internet's addresses are given out, and in it what leads to others: Teredo, 6to4. IPv4
 * in IPv6 (mapped, NAT64) is outside: whoever spells an address so wants it taken for another.
 */
const private6 = new Networks(['::/3', '4000::/2', '8000::/1', '2001::/23', '2001:db8::/32', '2002::/16', '3fff::/20']);

/** Names by which clouds' machines find their metadata. */
const forbiddenNames = new Set([
  'metadata',
  'metadata.google.internal',
  'metadata.goog',
  'instance-data',
  'instance-data.ec2.internal',
]);

/** @param address as DNS and sockets give it; what is none is forbidden */
export function reachOf(address: string): Reach {
  const [bare = ''] = address.split('%');
  const version = isIP(bare);
  if (version === 0 || forbidden.has(bare)) return 'forbidden';
  return (version === 4 ? private4 : private6).has(bare) ? 'private' : 'public';
}

/**
 * Of a host as `URL.hostname` has it: there every spelling of an address (`0x7f.1`, `2130706433`, `①②⑦.0.0.1`) has
 * become the usual one.
 *
 * @returns undefined for a name of which only DNS can tell
 */
export function reachOfHost(hostname: string): Reach | undefined {
  const host = hostname.replace(/^\[(.*)\]$/, '$1').replace(/\.+$/, '');
  if (isIP(host) !== 0) return reachOf(host);
  if (host === '' || forbiddenNames.has(host)) return 'forbidden';
  return host === 'localhost' || host.endsWith('.localhost') ? 'private' : undefined;
}
