/** What can be told of a budget: that its soft budget, a percent of it, or all of it was reached. */
export const alertEvents = ['soft_budget', 'threshold', 'crossed'] as const;
export type AlertEvent = (typeof alertEvents)[number];

const prefix = 'whsec_';

/** The key in a secret of Standard Webhooks: `whsec_` and 24 to 64 bytes in base64. Undefined for what is none. */
export function readWebhookSecret(text: string): Buffer | undefined {
  const encoded = text.startsWith(prefix) ? text.slice(prefix.length) : '';
  if (!/^[A-Za-z0-9+/]{32,88}={0,2}$/.test(encoded)) return undefined;
  const key = Buffer.from(encoded, 'base64');
  return key.length >= 24 && key.length <= 64 ? key : undefined;
}
