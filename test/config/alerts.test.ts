import assert from 'node:assert/strict';
import { test } from 'node:test';
import { loadYaml, refusal } from './support.ts';

const secret = `whsec_${Buffer.alloc(24, 'canary').toString('base64')}`;
const webhook = (more: string) => `gatewayctl: {alerts: {webhooks: [{${more}}]}}`;

test('what is wrong with alerts is said with its line, and what they hold is not', () => {
  const wrong: readonly (readonly [yaml: string, says: RegExp])[] = [
    [webhook(`url: "https://x.example"`), /config.yaml:1:\d+: secret is missing/],
    [webhook(`secret: "${secret}"`), /url is missing/],
    [webhook('url: "https://x.example", secret: canary-too-short'), /secret: must be whsec_ and 24 to 64 bytes/],
    [webhook(`url: "https://canary:canary@x.example", secret: "${secret}"`), /url: must be a URL .* without a user/],
    [webhook(`url: "https://x.example", secret: "${secret}", events: [budget]`), /events: must be one of soft_budget/],
    [webhook(`url: "https://x.example", secret: "${secret}", evnts: [crossed]`), /evnts/],
    ['gatewayctl: {alerts: {thresholds: [0]}}', /thresholds: must be at least 1/],
    ['gatewayctl: {alerts: {give_up_after: soon}}', /give_up_after: must be a length of time/],
    ['general_settings: {alerting: [pager]}', /general_settings.alerting must be a list of slack, email and webhook/],
    ['general_settings: {alerting: [webhook]}', /WEBHOOK_URL must be a URL/],
  ];
  for (const [yaml, says] of wrong) {
    const { shown } = refusal(() => loadYaml(yaml));
    assert.match(shown, says);
    assert.ok(!shown.includes('canary') && !shown.includes(secret), shown);
  }
});

test('LiteLLM’s alerting names a webhook by its variable, and what of it is not served is warned of', () => {
  const { alerts, warnings, secrets } = loadYaml('general_settings: {alerting: [slack, webhook]}', {
    env: { WEBHOOK_URL: 'https://hooks.example.com/canary' },
  });
  assert.partialDeepStrictEqual(alerts.webhooks, [
    { name: 'webhook', url: 'https://hooks.example.com/canary', secrets: [], allowed: 'public' },
  ]);
  assert.deepEqual(
    warnings.map(({ message }) => message),
    [
      'names slack, which is not served; nobody is told that way',
      'has no place for a secret, so what is sent is not signed; gatewayctl.alerts has one',
    ],
  );
  assert.ok(secrets.includes('https://hooks.example.com/canary'));
});
