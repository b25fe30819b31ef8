import type { IncomingHttpHeaders } from 'node:http';
import { mayForward } from '../kernel/pass-through.ts';
import type { Secrets } from '../proxy/secrets.ts';

const printable = /^[\t\u0020-\u007e\u0080-\u00ff]{0,4096}$/;

/** What describes a body, and reaches every upstream. */
const ofBodies = ['content-type', 'accept', 'accept-language'];

export interface Forwarding {
  /** Names in lower case; `all` is whatever is no credential and not for the next hop alone. */
  readonly forwards: readonly string[] | 'all';
  /** The operator's, which win over the client's. */
  readonly own: readonly string[];
  /** The caller's credential, which goes nowhere, under whatever name. */
  readonly secret: string;
}

/** The headers of a call at its upstream: the operator's, and of the client's those that may go on. */
export function upstreamHeaders(client: IncomingHttpHeaders, { forwards, own, secret }: Forwarding): string[] {
  const list = [...own];
  const taken = new Set(own.filter((_, index) => index % 2 === 0).map((name) => name.toLowerCase()));
  const names = forwards === 'all' ? Object.keys(client) : [...ofBodies, ...forwards];
  for (const name of new Set([...ofBodies, ...names])) {
    const value = client[name];
    if (typeof value !== 'string' || taken.has(name) || value.includes(secret) || !printable.test(value)) continue;
    if (!ofBodies.includes(name) && !mayForward(name)) continue;
    list.push(name, value);
  }
  return list;
}

/** Headers of an upstream that reach the client as they are. No cookie, no server, nothing for the next hop, no redirect. */
const back =
  /^(?:content-type|content-language|content-disposition|content-encoding|content-range|accept-ranges|cache-control|etag|last-modified|expires|vary|retry-after(?:-ms)?|request-id|x-should-retry|anthropic-ratelimit-.*|x-ratelimit-.*|x-amzn-requestid|x-amzn-errortype|x-amzn-bedrock-.*|openai-processing-ms|openai-version)$/;

/** The headers of an answer, as a flat list. @param secrets the operator's, which an upstream may repeat */
export function clientHeaders(
  upstream: IncomingHttpHeaders,
  { withLimits, secrets }: { readonly withLimits: boolean; readonly secrets: Secrets },
): string[] {
  const list: string[] = [];
  for (const [name, value] of Object.entries(upstream)) {
    if (typeof value !== 'string' || !printable.test(value)) continue;
    if (secrets.areInText(value)) continue;
    if (name === 'x-request-id') list.push('llm_provider-x-request-id', value);
    else if (back.test(name) && (withLimits || !name.startsWith('x-ratelimit-'))) list.push(name, value);
  }
  return list;
}
