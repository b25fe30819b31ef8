import { GatewayError } from '../kernel/errors.ts';
import {
  callbackKinds,
  isHeader,
  langfuseCloud,
  langfuseHost,
  readHeaderList,
  tracesUrl,
} from '../kernel/callback-target.ts';
import type { CallbackTarget } from './callback-settings.ts';

type Variables = Readonly<Record<string, string>>;

/** Variables of each callback that a team may have, and whether it must. LiteLLM's names where it has any. */
const variables: Readonly<Record<string, Readonly<Record<string, boolean>>>> = {
  langfuse: {
    langfuse_public_key: true,
    langfuse_secret_key: true,
    langfuse_secret: false,
    langfuse_host: false,
  },
  otel: { otel_endpoint: true, otel_headers: false },
  webhook: { webhook_url: true, webhook_headers: false, webhook_signing_secret: false },
};

/** Callbacks that a team may have: files are on the operator's machines, and no team's. */
export const ownerCallbackNames = ['langfuse', 'otel', 'webhook', 'generic_api'] as const;

/**
 * Where a team's callback leads.
 *
 * @throws GatewayError 400 for a variable that is missing, unknown, or not what it should be
 */
export function ownerTarget(name: string, given: Variables): CallbackTarget {
  const kind = callbackKinds[name] ?? '';
  const values = { ...given };
  // LiteLLM's older name for it.
  if (values['langfuse_secret'] !== undefined) values['langfuse_secret_key'] ??= values['langfuse_secret'];
  requireVariables(kind, values);
  if (kind === 'otel') {
    const url = tracesUrl(urlOf('otel_endpoint', values['otel_endpoint']));
    return { kind, url, headers: headersOf('otel_headers', values), serviceName: 'gatewayctl' };
  }
  if (kind === 'webhook') {
    const { webhook_signing_secret: signingSecret } = values;
    if (signingSecret !== undefined && signingSecret.length < 16) {
      throw unfit('webhook_signing_secret', 'must be at least 16 characters');
    }
    const url = urlOf('webhook_url', values['webhook_url']);
    return { kind, url, headers: headersOf('webhook_headers', values), signingSecret };
  }
  const { langfuse_public_key: publicKey = '', langfuse_secret_key: secretKey = '' } = values;
  const host = urlOf('langfuse_host', langfuseHost(values['langfuse_host'] ?? langfuseCloud));
  return { kind: 'langfuse', host, publicKey, secretKey };
}

function requireVariables(kind: string, values: Variables): void {
  const known = variables[kind] ?? {};
  const unknown = Object.keys(values).find((name) => !Object.hasOwn(known, name));
  if (unknown !== undefined) throw unfit(unknown, `is no variable of ${kind}: ${Object.keys(known).join(', ')}`);
  const missing = Object.keys(known).find((name) => known[name] === true && values[name] === undefined);
  if (missing !== undefined) throw unfit(missing, 'is missing');
  // A daemon's own variables would go to whoever the callback leads to.
  const reference = Object.keys(values).find((name) => values[name]?.startsWith('os.environ/'));
  if (reference !== undefined) throw unfit(reference, 'must be the value itself: variables of the daemon are not read');
}

function urlOf(name: string, text = ''): string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url && /^https?:$/.test(url.protocol) && !url.username && !url.password && !url.hash) return url.href;
  throw unfit(name, 'must be a URL that begins with http:// or https://, without a user in it');
}

function headersOf(name: string, values: Variables): Record<string, string> {
  const headers = readHeaderList(values[name] ?? '');
  if (headers && Object.entries(headers).every(([each, value]) => isHeader(each, value))) return headers;
  throw unfit(name, 'must be headers such as name=value,other=value, without those that belong to the connection');
}

const unfit = (name: string, why: string): GatewayError =>
  new GatewayError('invalid', 'bad_request_error', `callback_vars.${name} ${why}`, {
    param: `callback_vars.${name}`,
    hint: 'Which variables each callback has is in docs/callbacks.md.',
  });
