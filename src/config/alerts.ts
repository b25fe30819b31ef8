import { z } from 'zod';
import type { AlertSettings, AlertWebhook } from '../alerts/alert-settings.ts';
import { alertEvents, readWebhookSecret } from '../kernel/alert.ts';
import { parseDuration, toMilliseconds } from '../kernel/duration.ts';
import type { CallbackContext } from './callbacks.ts';
import { members } from './structures.ts';
import type { Tree } from './yaml.ts';

const ownPath = 'gatewayctl.alerts';
const litellmPath = 'general_settings.alerting';
export const alertPaths = [ownPath, litellmPath] as const;

const time = z
  .string('must be a length of time such as 10s')
  .transform((given) => parseDuration(given))
  .refine((given) => given !== undefined && given.count > 0, 'must be a length of time such as 10s')
  .transform((given) => (given ? toMilliseconds(given) : 0));
const percent = z.int('must be a whole number of percent').min(1, 'must be at least 1').max(99, 'must be at most 99');
const secret = z.string('must be a text').refine((text) => readWebhookSecret(text) !== undefined, {
  error: 'must be whsec_ and 24 to 64 bytes in base64, such as echo whsec_$(openssl rand -base64 32) makes',
});

const fields = {
  webhooks: z.unknown(),
  thresholds: z.array(percent, 'must be a list of percents such as [50, 80, 95]').max(20),
  give_up_after: time,
  timeout: time.refine((ms) => ms <= 20_000, 'must be at most 20s'),
};

const webhookFields = {
  name: z.string('must be a text').regex(/^[\w.-]{1,64}$/, 'must be letters, digits, dots, dashes and underscores'),
  url: z
    .string('must be a text')
    .refine(isTarget, 'must be a URL that begins with http:// or https://, without a user in it'),
  secret: z.union([secret, z.array(secret).min(1).max(3)], {
    error: 'must be whsec_ and 24 to 64 bytes in base64, or a list of such while one takes the place of another',
  }),
  events: z.array(z.enum(alertEvents, `must be one of ${alertEvents.join(', ')}`)).min(1),
  allow_private_network: z.boolean('must be true or false'),
};

function isTarget(text: string): boolean {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  return url !== undefined && /^https?:$/.test(url.protocol) && !url.username && !url.password && !url.hash;
}

export const noAlerts: AlertSettings = {
  webhooks: [],
  thresholds: [80, 95],
  giveUpMs: 86_400_000,
  timeoutMs: 10_000,
};

/** Reads who is told of budgets. What is wrong is reported with its place. */
export function readAlerts(trees: ReadonlyMap<string, Tree>, context: CallbackContext): AlertSettings {
  const tree = trees.get(ownPath);
  const given = members(tree, fields, context);
  const list = tree?.kind === 'map' ? tree.entries.get('webhooks')?.value : undefined;
  const own = list ? readWebhooks(list, context) : [];
  const ofLitellm = readLitellm(trees.get(litellmPath), context);
  return {
    webhooks: ofLitellm && !own.some(({ name }) => name === ofLitellm.name) ? [...own, ofLitellm] : own,
    thresholds: [...new Set(given.thresholds ?? noAlerts.thresholds)].toSorted((one, other) => one - other),
    giveUpMs: given.give_up_after ?? noAlerts.giveUpMs,
    timeoutMs: given.timeout ?? noAlerts.timeoutMs,
  };
}

function readWebhooks(list: Tree, context: CallbackContext): AlertWebhook[] {
  const names = new Set<string>();
  const items = list.kind === 'list' ? list.items : [list];
  return items.flatMap((item, index) => {
    const values = members(item, webhookFields, context);
    const name = values.name ?? (index === 0 ? 'webhook' : `webhook-${index + 1}`);
    if (names.has(name)) context.problems.add(item.at, `name: ${name} is that of another webhook`);
    names.add(name);
    const isGiven = (field: string) => item.kind === 'map' && item.entries.has(field);
    for (const field of ['url', 'secret'] as const) {
      if (!isGiven(field)) context.problems.add(item.at, `${field} is missing`);
    }
    if (values.url === undefined || values.secret === undefined) return [];
    const secrets = [values.secret].flat();
    for (const each of secrets) context.secret(each);
    context.secret(values.url);
    return {
      name,
      url: values.url,
      secrets: secrets.flatMap((each) => readWebhookSecret(each) ?? []),
      events: values.events ?? alertEvents,
      allowed: values.allow_private_network === true ? ('private' as const) : ('public' as const),
    };
  });
}

/** LiteLLM's `alerting: ["webhook"]`, which tells whoever `WEBHOOK_URL` names. */
function readLitellm(tree: Tree | undefined, context: CallbackContext): AlertWebhook | undefined {
  if (!tree) return undefined;
  let webhook: AlertWebhook | undefined;
  for (const item of tree.kind === 'list' ? tree.items : [tree]) {
    const name = item.kind === 'scalar' ? item.text : '';
    if (name !== 'webhook') {
      if (['slack', 'email'].includes(name))
        context.warn(item.at, litellmPath, `names ${name}, which is not served; nobody is told that way`);
      else context.problems.add(item.at, `${litellmPath} must be a list of slack, email and webhook`);
      continue;
    }
    const url = context.resolver.variable('WEBHOOK_URL');
    if (url === undefined || !isTarget(url)) {
      context.problems.add(
        item.at,
        'WEBHOOK_URL must be a URL that begins with http:// or https://, without a user in it',
      );
      continue;
    }
    context.secret(url);
    context.warn(
      item.at,
      litellmPath,
      'has no place for a secret, so what is sent is not signed; gatewayctl.alerts has one',
    );
    webhook = { name: 'webhook', url, secrets: [], events: alertEvents, allowed: 'public' };
  }
  return webhook;
}
