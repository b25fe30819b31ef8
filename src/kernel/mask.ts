/** `sk-gw1_…a1b2`: enough to recognise a key, too little to guess it. */
export function maskSecret(secret: string): string {
  const prefix = /^(sk-gwm?1_|sk-)/.exec(secret)?.[0] ?? '';
  return secret.length < prefix.length + 12 ? `${prefix}…` : `${prefix}…${secret.slice(-4)}`;
}

/** Whether a text is, or holds, what must not be typed on a command line: a key, or a URL with a password. */
export function looksSecret(text: string): boolean {
  return /^sk-\S{8,}/.test(text) || /^[a-z][a-z+]*:\/\/[^/?#@:]*:[^/?#@]+@/i.test(text);
}

/**
 * Formats of secrets that are known by their look, each with what is left of a match. What may come in front of what tells
 * them is bounded: it is looked at again from each word on, and callers choose the words (60 KB took 9 s without).
 */
const looks: readonly (readonly [look: RegExp, left: (...match: string[]) => string])[] = [
  [/\bsk-[\w-]{8,}/g, (key) => maskSecret(key)],
  [/\b(Bearer|Basic)(?:\s+|%20|\+)[\w.~+/=-]{8,}/gi, (_, scheme) => `${scheme} …`],
  [/\b([a-z][a-z\d+.-]{0,30}:\/\/[^\s/?#@:"\\]*):[^\s/?#"\\]*@/gi, (_, before) => `${before}:…@`],
  // The same in a query or a path.
  [/\b([a-z][a-z\d+.-]{0,30}%3A%2F%2F[\w.~-]{0,256})%3A[\w.~%-]{0,512}?%40/gi, (_, before) => `${before}%3A…%40`],
  [/\b(AKIA|ASIA)[\dA-Z]{16}\b/g, (_, prefix) => `${prefix}…`],
  [/\bAIza[\w-]{30,}/g, () => 'AIza…'],
  [/\beyJ[\w-]{5,1024}\.[\w-]{1,16384}\.[\w-]*/g, () => 'eyJ…'],
  [/\b(gh[oprsu]_|github_pat_|gsk_|hf_|r8_|xai-|nvapi-|xox[abprs]-)[\w-]{16,}/g, (_, prefix) => `${prefix}…`],
];

/** Blots out whatever looks like a credential. The last defence, over finished text: it must not be the only one. */
export function redactLooks(text: string): string {
  let shown = text;
  for (const [look, left] of looks) shown = shown.replace(look, left);
  return shown;
}

/** Whether a word is what a generator makes, and not what a person calls something. */
export function looksRandom(word: string): boolean {
  return word.length >= 16 && /[A-Z]/.test(word) && /[a-z]/.test(word) && /\d/.test(word);
}
