const loopback = /^(?:localhost|127(?:\.\d{1,3}){3}|\[::1\])$/;

/** Whether public keys that come from a URL can be trusted: whether nobody on their way can have put in others. */
export function isKeyUrl(given: string): boolean {
  if (!URL.canParse(given)) return false;
  const { protocol, hostname, username, password, hash } = new URL(given);
  if (username || password || hash) return false;
  return protocol === 'https:' || (protocol === 'http:' && loopback.test(hostname));
}

/** Completes "… must". */
export const keyUrlRule =
  'be an https:// URL without a password (http:// only on the loopback interface): whoever can change public keys on their way can sign tokens';
