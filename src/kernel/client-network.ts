/**
 * Whom limits per client are counted by: an IPv4 address, or the first 64 bits of an IPv6 address, because one customer
 * of a provider has all the addresses behind those. Empty for a Unix socket, which has no address.
 *
 * @param address as Node gives it: compressed, with a zone on link-local ones
 */
export function clientNetwork(address: string | undefined): string {
  if (!address) return '';
  if (address.startsWith('::ffff:') && address.includes('.')) return address.slice(7);
  if (!address.includes(':')) return address;
  const [head = '', tail] = address.split('%')[0]?.split('::') ?? [];
  const groups = head === '' ? [] : head.split(':');
  const rest = tail === undefined || tail === '' ? [] : tail.split(':');
  const zeros = Array.from({ length: Math.max(0, 8 - groups.length - rest.length) }, () => '0');
  return [...groups, ...zeros, ...rest].slice(0, 4).join(':');
}
