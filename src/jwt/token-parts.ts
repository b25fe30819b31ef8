/** A client's header may be larger than any token that says who somebody is. */
const BYTES_AT_MOST = 8 * 1024;
const DEPTH_AT_MOST = 16;

export type JsonObject = Readonly<Record<string, unknown>>;

/** A token taken apart; nothing of it is to be believed before its signature was verified. */
export interface TokenParts {
  readonly header: JsonObject;
  readonly payload: JsonObject;
}

/** Whether a credential is built like a JWT. */
export const looksLikeToken = (secret: string): boolean => /^[^.]+\.[^.]*\.[^.]*$/.test(secret);

/** @returns the parts, or why there are none */
export function takeApart(token: string): TokenParts | string {
  if (token.length > BYTES_AT_MOST) return 'it is longer than 8 KiB';
  const [first = '', second = '', third = '', ...more] = token.split('.');
  if (more.length > 0) return 'it has more than three parts';
  // One token must not have several spellings: the rest of a last character would otherwise be anybody's to choose.
  if (![first, second, third].every(isCanonical)) return 'its parts are not base64url';
  const header = readObject(first);
  if (typeof header === 'string') return `its header ${header}`;
  const payload = readObject(second);
  if (typeof payload === 'string') return `its payload ${payload}`;
  return { header, payload };
}

const isCanonical = (part: string): boolean => Buffer.from(part, 'base64url').toString('base64url') === part;

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

function readObject(part: string): JsonObject | string {
  let text: string;
  let value: unknown;
  try {
    text = utf8.decode(Buffer.from(part, 'base64url'));
    value = JSON.parse(text);
  } catch {
    return 'is not JSON';
  }
  if (!isObject(value)) return 'is no JSON object';
  const names = countNames(value);
  if (names === undefined) return `is more than ${DEPTH_AT_MOST} levels deep`;
  // A name that stands twice means one thing to us and may mean the other to whoever issued or looked at the token.
  return names === writtenNames(text) ? value : 'has a name twice';
}

const isObject = (value: unknown): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** Names of an object and all below it; undefined when they are too deep. */
function countNames(value: unknown, depth = 0): number | undefined {
  if (typeof value !== 'object' || value === null) return 0;
  if (depth >= DEPTH_AT_MOST) return undefined;
  let count = isObject(value) ? Object.keys(value).length : 0;
  for (const each of Object.values(value)) {
    const below = countNames(each, depth + 1);
    if (below === undefined) return undefined;
    count += below;
  }
  return count;
}

/** Names in a text that is JSON: strings with a colon behind them. */
function writtenNames(text: string): number {
  let count = 0;
  for (const [, colon] of text.matchAll(/"(?:[^"\\]|\\.)*"\s*(:)?/gs)) if (colon !== undefined) count++;
  return count;
}
