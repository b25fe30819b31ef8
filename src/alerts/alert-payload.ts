import { toDollars } from '../kernel/money.ts';
import type { DueAlert } from './alert.queries.ts';

/** LiteLLM's words for events and for whose budget it is, which receivers written for it go by. */
const eventNames: Readonly<Record<string, string>> = {
  soft_budget: 'soft_budget_crossed',
  threshold: 'threshold_crossed',
  crossed: 'budget_crossed',
};
const groupNames: Readonly<Record<string, string>> = {
  key: 'key',
  team: 'team',
  user: 'internal_user',
  member: 'team_member',
  organization: 'organization',
  organization_member: 'organization_member',
  customer: 'customer',
  tag: 'tag',
  gateway: 'proxy',
};

const dollars = (amount: string | null): number | null => (amount === null ? null : toDollars(BigInt(amount)));
const moment = (ms: number | null): string | null => (ms === null ? null : new Date(ms).toISOString());
const orNull = (text: string): string | null => (text === '' ? null : text);

/** The body of an alert: LiteLLM's fields, and beside them what they cannot say. */
export function alertPayload(alert: DueAlert): string {
  const { alert_id: id, event, percent, entity, holder_id: holder, label, model, duration } = alert;
  const windowEnd = moment(alert.ends_ms);
  return JSON.stringify({
    id,
    type: `budget.${event}`,
    timestamp: moment(alert.created_ms),
    event: eventNames[event],
    event_group: groupNames[entity],
    event_message: messageOf(alert),
    spend: dollars(alert.spend),
    max_budget: dollars(alert.max_budget),
    soft_budget: dollars(alert.soft_budget),
    token: alert.token,
    key_alias: alert.key_alias,
    team_id: alert.team_id,
    team_alias: alert.team_alias,
    user_id: alert.user_id,
    user_email: alert.user_email,
    organization_id: alert.organization_id,
    customer_id: entity === 'customer' ? holder : null,
    projected_spend: null,
    projected_exceeded_date: null,
    budget: {
      entity,
      // A member's is its owner's and its user's, which stand above by themselves.
      id: holder.replace('\u001f', '/'),
      label,
      model: orNull(model),
      duration: orNull(duration),
      window_start: duration === '' ? null : moment(alert.started_ms),
      window_end: windowEnd,
      threshold_percent: event === 'threshold' ? percent : null,
      cause: alert.cause,
      enforced: alert.is_enforced,
    },
  });
}

function messageOf({
  event,
  percent,
  entity,
  label,
  model,
  duration,
  cause,
  is_enforced: isEnforced,
  ...alert
}: DueAlert): string {
  const whose = `${entity === 'gateway' ? 'the gateway' : `${entity.replace('_', ' ')} ${label}`}${model === '' ? '' : ` for ${model}`}${duration === '' ? '' : ` for ${duration}`}`;
  const spend = dollars(alert.spend);
  if (event === 'soft_budget')
    return `The soft budget of ${whose} is reached: ${spend} of ${dollars(alert.soft_budget)} USD`;
  const amounts = `${spend} of ${dollars(alert.max_budget)} USD`;
  if (event === 'threshold') return `${percent} % of the budget of ${whose} is reached: ${amounts}`;
  const effect = isEnforced ? 'calls are refused' : 'calls are let through, as it is only observed';
  const what = cause === 'refusal' ? 'has no room for what is asked' : 'is used up';
  return `The budget of ${whose} ${what}, ${effect}: ${amounts}`;
}

/** What a webhook is sent that somebody tries. */
export const testPayload = (id: string, now: Date): string =>
  JSON.stringify({
    id,
    type: 'alert.test',
    timestamp: now.toISOString(),
    event: 'test',
    event_group: 'proxy',
    event_message: 'This is a test: alerts of budgets come like this',
    spend: 0,
    max_budget: null,
    soft_budget: null,
  });
