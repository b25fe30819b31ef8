import { randomUUID } from 'node:crypto';
import type { Post } from '../callbacks/post.ts';
import { GatewayError } from '../kernel/errors.ts';
import { testPayload } from './alert-payload.ts';
import { postAlert } from './alert-post.ts';
import type { AlertSettings, TestedWebhook } from './alert-settings.ts';

/** Sends a message to each webhook, or to one, once. @throws GatewayError 404, 400 where there is none */
export async function testWebhooks(
  post: Post,
  { webhooks, timeoutMs }: AlertSettings,
  name: string | undefined,
): Promise<TestedWebhook[]> {
  const chosen = name === undefined ? webhooks : webhooks.filter((each) => each.name === name);
  if (webhooks.length === 0) {
    throw new GatewayError('invalid', 'no_alert_webhooks', 'No webhook is configured for alerts', {
      hint: 'Name one in gatewayctl.alerts.webhooks of the configuration file.',
    });
  }
  if (chosen.length === 0) {
    const names = webhooks.map((each) => each.name).join(', ');
    throw new GatewayError('notFound', 'not_found_error', `No webhook "${name}" is configured for alerts`, {
      param: 'webhook',
      hint: `There are: ${names}`,
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
