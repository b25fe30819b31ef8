import { createHmac } from 'node:crypto';

/**
 * The headers of Standard Webhooks. The id is the same in each attempt, so that whoever gets a message twice can tell;
 * the time is that of the attempt and signed too, so that whoever overhears one cannot send it again later.
 *
 * @param at seconds since 1970
 */
export function signedHeaders(
  { id, at, body }: { readonly id: string; readonly at: number; readonly body: string },
  secrets: readonly Buffer[],
): Record<string, string> {
  const signatures = secrets.map(
    (key) => `v1,${createHmac('sha256', key).update(`${id}.${at}.${body}`).digest('base64')}`,
  );
  return {
    'webhook-id': id,
    'webhook-timestamp': String(at),
    ...(signatures.length > 0 && { 'webhook-signature': signatures.join(' ') }),
  };
}
