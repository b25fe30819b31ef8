import { z } from 'zod';
import { GatewayError } from '../kernel/errors.ts';
import { alertEvents } from '../kernel/alert.ts';
import { operation } from '../kernel/operation.ts';
import { usd } from '../kernel/money.ts';
import { answer, timestamp, wire } from '../kernel/wire.ts';
import type { AlertService } from './alert.service.ts';
import type { AlertTest } from './alert-settings.ts';
import { deliveryStates } from './alert.states.ts';

interface Needs {
  alerts: AlertService;
  /** Absent beside no daemon. */
  alertTest: AlertTest | undefined;
  authority: { readonly isAdmin: boolean };
}

const rowInfo = {
  id: z.string().describe('Names the alert: the webhook-id of what is sent'),
  createdAt: timestamp.describe('When it was noted'),
  event: z.enum(alertEvents).describe('What was reached: the soft budget, a percent of the budget, or all of it'),
  thresholdPercent: z.int().nullable().describe('Of a threshold: which'),
  entity: z.string().describe('Whose budget it is: key, team, user, member, organization, customer, tag, gateway'),
  holderId: z.string().describe('The id of whoever has the budget'),
  label: z.string().describe('The name people use for it'),
  model: z.string().nullable().describe('Of a budget for some models: which'),
  budgetDuration: z.string().nullable().describe('How long the budget is for'),
  windowStart: timestamp.nullable().describe('When the period began; null where the budget is for good'),
  spend: usd.describe('US dollars spent of it by then'),
  maxBudget: usd.nullable().describe('US dollars that may be spent'),
  softBudget: usd.nullable().describe('US dollars after which a warning is given'),
  cause: z.enum(['spend', 'refusal']).describe('Whether it was seen by what was spent, or by a call that was refused'),
  enforced: z.boolean().describe('Whether calls are refused for it'),
  webhook: z.string().describe('Who is told'),
  state: z.enum(deliveryStates).describe('Whether it was sent, waits, or was given up'),
  attempts: z.int().describe('How often it was tried'),
  lastStatus: z.int().nullable().describe('The HTTP status of the last answer'),
  lastError: z.string().nullable().describe('Why the last attempt failed'),
  nextAttemptAt: timestamp.nullable().describe('When it is tried next'),
  endedAt: timestamp.nullable().describe('When it was sent, or given up'),
};

export const listAlerts = operation({
  command: ['alert', 'list'],
  aliases: ['ls', 'status'],
  route: ['GET', '/alert/list'],
  summary: 'Show what was told of budgets, and what still waits',
  description: 'The latest first. Each alert stands there once for each webhook.',
  access: 'admin',
  input: wire({
    state: z.enum(deliveryStates).optional().describe('Only those that are pending, sent or failed'),
    page: z.coerce.number().int().min(1).max(100_000).default(1).describe('Which page, from 1'),
    pageSize: z.coerce.number().int().min(1).max(500).default(100).describe('How many on a page'),
  }),
  output: answer({
    alerts: z.array(answer(rowInfo)).describe('The alerts'),
    totalCount: z.int().describe('How many there are in all'),
    pending: z.int().describe('How many wait, of all alerts'),
    sent: z.int().describe('How many were sent'),
    failed: z.int().describe('How many were given up'),
  }),
  cli: {
    result: 'alerts',
    pages: { page: 'page', size: 'page_size', total: 'total_count' },
    columns: ['created_at', 'event', 'threshold_percent', 'entity', 'label', 'spend', 'max_budget', 'webhook', 'state'],
    wide: ['id', 'holder_id', 'model', 'budget_duration', 'soft_budget', 'attempts', 'last_error', 'next_attempt_at'],
    headings: {
      created_at: 'AT',
      threshold_percent: 'PERCENT',
      max_budget: 'BUDGET',
      holder_id: 'HOLDER',
      budget_duration: 'PERIOD',
      last_error: 'ERROR',
      next_attempt_at: 'NEXT',
    },
    id: 'id',
    examples: [
      ['The latest', 'gatewayctl alert list'],
      ['What could not be delivered, and why', 'gatewayctl alert list --state failed -o wide'],
    ],
  },
  run: async ({ alerts }: Needs, { state, page, pageSize }) => alerts.list({ state, page, pageSize }),
});

export const testAlert = operation({
  command: ['alert', 'test'],
  route: ['POST', '/alert/test'],
  summary: 'Send a signed test message to the webhooks of alerts',
  description:
    'Once and at once, and says what was answered. Exit status 1 when somebody did not take it, or nobody is configured.',
  access: 'admin',
  // Nothing of it is in the database, so there is nothing to rehearse or to take back.
  isRead: true,
  input: wire({ webhook: z.string().min(1).optional().describe('Only the webhook of this name') }),
  output: answer({
    webhooks: z
      .array(
        answer({
          webhook: z.string().describe('Who was told'),
          id: z.string().describe('The webhook-id of the message'),
          delivered: z.boolean().describe('Whether it was taken'),
          status: z.int().nullable().describe('The HTTP status of the answer'),
          error: z.string().nullable().describe('Why it was not taken'),
        }),
      )
      .describe('Each webhook that was tried'),
  }),
  cli: {
    args: ['webhook'],
    result: 'webhooks',
    columns: ['webhook', 'delivered', 'status', 'error'],
    id: 'webhook',
    no: ({ webhooks }) => {
      const list = Array.isArray(webhooks) ? webhooks : [];
      if (list.length === 0) return 'No webhook is configured: name one in gatewayctl.alerts.webhooks.';
      const failed = list.filter((each: { delivered?: boolean }) => each.delivered !== true).length;
      return failed > 0 ? `${failed} of ${list.length} did not take it` : undefined;
    },
    examples: [['All of them', 'gatewayctl alert test']],
  },
  run: async ({ authority, alertTest }: Needs, { webhook }) => {
    if (!authority.isAdmin) throw new GatewayError('forbidden', 'admin_only', 'Only administrators may send messages');
    if (!alertTest) {
      throw new GatewayError('unavailable', 'no_daemon', 'Nobody to send it: this command is not talking to a daemon', {
        hint: 'Name one with --server, or its state directory with --state-dir.',
      });
    }
    return { webhooks: await alertTest(webhook) };
  },
});

export const alertOperations = [listAlerts, testAlert] as const;
