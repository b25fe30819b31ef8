import type { CallbackTarget } from '../callbacks/callback-settings.ts';
import { isHeader, langfuseCloud, langfuseHost, readHeaderList, tracesUrl } from '../kernel/callback-target.ts';
import type { CallbackContext, SetupValues } from './callbacks.ts';
import type { Place } from './problems.ts';

interface TargetContext extends CallbackContext {
  readonly at: Place;
  readonly beside: (path: string) => string;
}

/** Where a callback leads; what its entry does not say is in the variables LiteLLM reads. */
export function targetOf(
  kind: CallbackTarget['kind'],
  values: SetupValues,
  context: TargetContext,
): CallbackTarget | undefined {
  if (kind === 'langfuse') return langfuse(values, context);
  if (kind === 'otel') return otel(values, context);
  if (kind === 'webhook') return webhook(values, context);
  const { path, max_size: maxBytes, max_files: maxFiles = 5 } = values;
  if (path === undefined) return missing('path', context);
  return { kind, path: context.beside(path), maxBytes, maxFiles };
}

function langfuse(values: SetupValues, context: TargetContext): CallbackTarget | undefined {
  const { langfuse_public_key: ownKey, langfuse_secret_key: ownSecret, langfuse_secret: otherSecret } = values;
  const publicKey = ownKey ?? variable(context, 'LANGFUSE_PUBLIC_KEY');
  const secretKey = ownSecret ?? otherSecret ?? variable(context, 'LANGFUSE_SECRET_KEY', 'LANGFUSE_SECRET');
  const given = values.langfuse_host ?? variable(context, 'LANGFUSE_HOST', 'LANGFUSE_BASE_URL') ?? langfuseCloud;
  const host = urlOf(langfuseHost(given), 'langfuse_host', context);
  if (publicKey === undefined) return missing('langfuse_public_key (or LANGFUSE_PUBLIC_KEY)', context);
  if (secretKey === undefined) return missing('langfuse_secret_key (or LANGFUSE_SECRET_KEY)', context);
  context.secret(secretKey);
  return host === undefined ? undefined : { kind: 'langfuse', host, publicKey, secretKey };
}

function otel(values: SetupValues, context: TargetContext): CallbackTarget | undefined {
  const whole = variable(context, 'OTEL_EXPORTER_OTLP_TRACES_ENDPOINT');
  const endpoint = values.endpoint ?? whole ?? variable(context, 'OTEL_EXPORTER_OTLP_ENDPOINT', 'OTEL_ENDPOINT');
  if (endpoint === undefined) return missing('endpoint (or OTEL_EXPORTER_OTLP_ENDPOINT)', context);
  const url = urlOf(endpoint, 'endpoint', context);
  const headers = headersOf(
    values.headers ??
      variable(context, 'OTEL_EXPORTER_OTLP_TRACES_HEADERS', 'OTEL_EXPORTER_OTLP_HEADERS', 'OTEL_HEADERS'),
    context,
  );
  if (url === undefined || !headers) return undefined;
  const serviceName = values.service_name ?? variable(context, 'OTEL_SERVICE_NAME') ?? 'gatewayctl';
  // OpenTelemetry's own variable for traces alone is a whole URL.
  const isWhole = values.endpoint === undefined && endpoint === whole;
  return { kind: 'otel', url: isWhole ? url : tracesUrl(url), headers, serviceName };
}

function webhook(values: SetupValues, context: TargetContext): CallbackTarget | undefined {
  const endpoint = values.endpoint ?? variable(context, 'GENERIC_LOGGER_ENDPOINT');
  if (endpoint === undefined) return missing('endpoint (or GENERIC_LOGGER_ENDPOINT)', context);
  const url = urlOf(endpoint, 'endpoint', context);
  const headers = headersOf(values.headers ?? variable(context, 'GENERIC_LOGGER_HEADERS'), context);
  if (url === undefined || !headers) return undefined;
  const { signing_secret: signingSecret } = values;
  if (signingSecret !== undefined) context.secret(signingSecret);
  return { kind: 'webhook', url, headers, signingSecret };
}

function variable({ resolver }: TargetContext, ...names: readonly string[]): string | undefined {
  return names.map((name) => resolver.variable(name)).find((value) => value !== undefined);
}

function missing(what: string, { problems, at }: TargetContext): undefined {
  problems.add(at, `${what} is missing`);
  return undefined;
}

function urlOf(text: string, name: string, { problems, at }: TargetContext): string | undefined {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url && /^https?:$/.test(url.protocol) && !url.username && !url.password && !url.hash) return url.href;
  problems.add(at, `${name} must be a URL that begins with http:// or https://, without a user in it`);
  return undefined;
}

/** What headers hold is taken for secret: that is what they are for. */
function headersOf(
  given: SetupValues['headers'],
  { problems, at, secret }: TargetContext,
): Record<string, string> | undefined {
  const headers = typeof given === 'string' ? readHeaderList(given) : (given ?? {});
  if (!headers || !Object.entries(headers).every(([name, value]) => isHeader(name, value))) {
    problems.add(at, 'headers must be names and values, without those that belong to the connection');
    return undefined;
  }
  for (const value of Object.values(headers)) if (value.length >= 12) secret(value);
  return headers;
}
