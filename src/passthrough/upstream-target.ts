import { GatewayError } from '../kernel/errors.ts';

/** Names under which APIs take a credential in a query, which would be the caller's here, and end up in logs. */
const credentialNames =
  /^(?:key|(?:x-)?api[-_]?key|apikey|(?:access|auth|oauth|id|bearer)[-_]?token|token|authorization|sig|signature|x-amz-.+|x-goog-.+)$/i;

export const namesCredential = (parameter: string): boolean => credentialNames.test(parameter);

const segment = /^(?:[A-Za-z0-9\-._~!$&'()*+,=:@]|%[0-9A-Fa-f]{2})+$/;
/** A slash, a back-slash, a dot or a percent sign in disguise, or what ends a line. */
const hidden = /%(?:2f|5c|2e|25|00|0a|0d)/i;
/** The segments that lead elsewhere, also with a parameter behind them. */
const dots = /^\.\.?(?:$|;|%3b)/i;

export interface Base {
  readonly origin: string;
  /** Without a slash at its end. */
  readonly path: string;
}

/** An address an operator gave; undefined for what is none, or holds a credential or a query. */
export function baseOf(address: string): Base | undefined {
  const url = URL.canParse(address) ? new URL(address) : undefined;
  if (!url || !/^https?:$/.test(url.protocol) || url.username || url.password || url.hash || url.search) {
    return undefined;
  }
  return { origin: url.origin, path: url.pathname.replace(/\/+$/, '') };
}

/**
 * The path of a call at its upstream: below the base's, whatever a client asks for. The daemon has refused paths with two
 * readings; this holds by itself, for whoever changes that.
 *
 * @param rest of the client's path, as it was sent: empty, or with a slash before it
 */
export function pathBelow(base: string, rest: string): string {
  const segments = rest.split('/').slice(1);
  const isPlain = segments.every(
    (each, index) =>
      (each === '' && index === segments.length - 1) || (segment.test(each) && !hidden.test(each) && !dots.test(each)),
  );
  if (!isPlain || (rest !== '' && !rest.startsWith('/'))) {
    throw ambiguous();
  }
  return base + rest || '/';
}

/** A path as text, to see what is called by it. @throws GatewayError 400 for escapes that are no UTF-8 */
export function unescaped(path: string): string {
  try {
    return decodeURIComponent(path);
  } catch {
    throw ambiguous();
  }
}

const ambiguous = () =>
  new GatewayError('invalid', 'ambiguous_path', 'The path could be read in more than one way', {
    hint: 'Send it in its plain form: no //, no ./ or ../, no escaped slashes or dots.',
  });

/**
 * The query of a call at its upstream: the client's, behind what the operator has it begin with.
 *
 * @param query as it was sent, without its question mark
 * @param defaults what is added where the client names none of it
 */
export function queryOf(query: string, defaults: Readonly<Record<string, string>> = {}): string {
  const given = new URLSearchParams(query);
  for (const name of given.keys()) if (namesCredential(name)) throw credentialInQuery(name);
  const added = new URLSearchParams();
  for (const [name, value] of Object.entries(defaults)) if (!given.has(name)) added.append(name, value);
  const parts = [query, String(added)].filter(Boolean);
  return parts.length === 0 ? '' : `?${parts.join('&').replaceAll(/[^\u0021-\u007e]|#/g, encodeURIComponent)}`;
}

const credentialInQuery = (name: string): GatewayError =>
  new GatewayError(
    'invalid',
    'credential_in_query',
    `${name.slice(0, 40)} is not taken in a query: queries are logged`,
    {
      param: name.slice(0, 40),
      hint: 'Send the virtual key in a header, such as x-goog-api-key or Authorization. The credential of the upstream is the gateway’s own.',
    },
  );
