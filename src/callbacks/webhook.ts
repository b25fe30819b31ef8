import { createHmac } from 'node:crypto';
import type { CallEvent } from './call-event.ts';
import type { Destination } from './destination.ts';
import { payloadOf } from './payload.ts';
import { deliveryOf, type Post, type Target } from './post.ts';

export interface WebhookSettings extends Target, Pick<Destination, 'name' | 'wants' | 'hasBodies'> {
  readonly headers: Readonly<Record<string, string>>;
  /** With it each request says who sent it, and when. */
  readonly signingSecret: string | undefined;
}

/** `t=<seconds>,v1=<hex>`: the time is signed too, so that whoever overhears a request cannot send it again later. */
export const signatureHeader = 'x-gatewayctl-signature';

/** @param at seconds since 1970 */
export const signatureOf = (secret: string, at: number, body: string): string =>
  `t=${at},v1=${createHmac('sha256', secret).update(`${at}.${body}`).digest('hex')}`;

/** A URL of the operator's that each batch is posted to, as a JSON list. */
export function webhook(settings: WebhookSettings, post: Post): Destination {
  const { name, wants, hasBodies, headers, signingSecret } = settings;
  return {
    name,
    wants,
    hasBodies,
    async deliver(batch: readonly CallEvent[], signal) {
      const body = JSON.stringify(batch.map((event) => payloadOf(event, { hasBodies })));
      // Of this attempt: one that comes later is no repetition.
      const at = Math.floor(Date.now() / 1_000);
      const signed = signingSecret === undefined ? {} : { [signatureHeader]: signatureOf(signingSecret, at, body) };
      return deliveryOf(
        await post(settings, { headers: { ...headers, 'content-type': 'application/json', ...signed }, body, signal }),
      );
    },
  };
}
