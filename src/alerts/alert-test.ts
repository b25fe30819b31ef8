import { randomUUID } from 'node:crypto';
import type { Post } from '../callbacks/post.ts';
import { GatewayError } from '../kernel/errors.ts';
import { testPayload } from './alert-payload.ts';
import { postAlert } from './alert-post.ts';
import type { AlertSettings, TestedWebhook } from './alert-settings.ts';

/** Sends a message to each webhook, or to one, once. @throws GatewayError 404 where there is none of that name */
export async function testWebhooks(
  post: Post,
  { webhooks, timeoutMs }: AlertSettings,
  name: string | undefined,
): Promise<TestedWebhook[]> {
  const chosen = name === undefined ? webhooks : webhooks.filter((each) => each.name === name);
  if (name !== undefined && chosen.length === 0) {
    const names = webhooks.map((each) => each.name).join(', ');
    throw new GatewayError('notFound', 'not_found_error', `No webhook "${name}" is configured for alerts`, {
      param: 'webhook',
      hint: names === '' ? 'None is: name one in gatewayctl.alerts.webhooks.' : `There are: ${names}`,
    });
  }
  return Promise.all(
    chosen.map(async (webhook) => {
      const id = `alert_test_${randomUUID()}`;
      const { outcome, status, error } = await postAlert(post, webhook, {
        id,
        body: testPayload(id, new Date()),
        timeoutMs,
      });
      return { webhook: webhook.name, id, delivered: outcome === 'sent', status: status ?? null, error: error ?? null };
    }),
  );
}
