/** What callbacks of the configuration file and those of teams have in common. */

/** LiteLLM's names of callbacks that are served, and what each is. */
export const callbackKinds: Readonly<Record<string, 'langfuse' | 'otel' | 'webhook' | 'jsonl'>> = {
  langfuse: 'langfuse',
  otel: 'otel',
  webhook: 'webhook',
  generic_api: 'webhook',
  jsonl: 'jsonl',
};

export const langfuseCloud = 'https://cloud.langfuse.com';

/** A host of Langfuse as a URL: LiteLLM takes it without a scheme, too. */
export const langfuseHost = (given: string): string => (/^https?:\/\//i.test(given) ? given : `https://${given}`);

/** Where spans go below an OTLP endpoint. */
export function tracesUrl(endpoint: string): string {
  const url = new URL(endpoint);
  if (!url.pathname.endsWith('/v1/traces')) url.pathname = `${url.pathname.replace(/\/+$/, '')}/v1/traces`;
  return url.href;
}

/** `a=b,c=d`, as OpenTelemetry and LiteLLM write headers in a variable; undefined for what is none. */
export function readHeaderList(text: string): Record<string, string> | undefined {
  const headers: Record<string, string> = {};
  for (const part of text.split(',').filter((each) => each.trim() !== '')) {
    const at = part.indexOf('=');
    const name = part.slice(0, at).trim().toLowerCase();
    const value = decoded(part.slice(at + 1).trim());
    if (at < 1 || value === undefined || !isHeader(name, value)) return undefined;
    headers[name] = value;
  }
  return headers;
}

function decoded(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch {
    // A percent sign that begins no escape.
    return undefined;
  }
}

/** Those of the connection are not for anybody to set: they would make another request of it. */
const ofConnection =
  /^(?:connection|content-(?:length|type|encoding)|expect|host|keep-alive|te|trailer|transfer-encoding|upgrade)$/;

export const isHeader = (name: string, value: string): boolean =>
  /^[a-z0-9_-]{1,64}$/i.test(name) &&
  !ofConnection.test(name.toLowerCase()) &&
  /^[\t\u0020-\u007e]{0,4096}$/.test(value);
