/** `sk-gw1_…a1b2`: enough to recognise a key, too little to guess it. */
export function maskSecret(secret: string): string {
  const prefix = /^(sk-gwm?1_|sk-)/.exec(secret)?.[0] ?? '';
  return secret.length < prefix.length + 12 ? `${prefix}…` : `${prefix}…${secret.slice(-4)}`;
}

/** Whether a text is, or holds, what must not be typed on a command line: a key, or a URL with a password. */
export function looksSecret(text: string): boolean {
  return /^sk-\S{8,}/.test(text) || /^[a-z][a-z+]*:\/\/[^/?#@:]*:[^/?#@]+@/i.test(text);
}
