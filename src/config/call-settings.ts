import { type Setting, seconds } from './setting.ts';
import * as value from './values.ts';

/** What a call may take, and how it is booked. */
export const callSettings = {
  bodyLimit: {
    type: value.size(1024 ** 3),
    default: '10MiB',
    env: ['GATEWAYCTL_BODY_LIMIT'],
    file: ['gatewayctl.body_limit', { path: 'general_settings.max_request_size_mb', unit: 'MiB' }],
    description: 'Largest request body that is read',
  },
  maxCalls: {
    type: value.count(1, 1_000_000),
    default: '2000',
    env: ['GATEWAYCTL_MAX_CALLS'],
    file: ['gatewayctl.max_calls'],
    description: 'Most calls under way at one time; what comes beyond them is refused with 503 before its body is read',
  },
  formLimit: {
    type: value.size(1024 ** 3),
    default: '32MiB',
    env: ['GATEWAYCTL_FORM_LIMIT'],
    file: ['gatewayctl.form_limit'],
    description: 'Largest form with files in it (images to edit, recordings) that is read',
  },
  connectTimeout: {
    type: value.time,
    default: '5s',
    env: ['GATEWAYCTL_UPSTREAM_CONNECT_TIMEOUT'],
    file: ['gatewayctl.upstream.connect_timeout'],
    description: 'Longest wait for a connection to a provider',
  },
  firstByteTimeout: {
    type: value.time,
    default: '60s',
    env: ['GATEWAYCTL_UPSTREAM_FIRST_BYTE_TIMEOUT'],
    file: ['gatewayctl.upstream.first_byte_timeout'],
    description: 'Longest wait for the first byte of a provider’s answer',
  },
  idleTimeout: {
    type: value.time,
    default: '60s',
    env: ['GATEWAYCTL_UPSTREAM_IDLE_TIMEOUT'],
    file: ['gatewayctl.upstream.idle_timeout'],
    description: 'Longest silence between two pieces of a provider’s answer',
  },
  totalTimeout: {
    type: value.time,
    default: '600s',
    env: ['GATEWAYCTL_UPSTREAM_TOTAL_TIMEOUT'],
    file: [
      'gatewayctl.upstream.total_timeout',
      seconds('router_settings.timeout'),
      seconds('litellm_settings.request_timeout'),
    ],
    description: 'Longest time one call to a provider may take in all',
  },
  spendRetention: {
    type: value.retention,
    default: '90d',
    env: ['GATEWAYCTL_SPEND_RETENTION'],
    file: ['gatewayctl.spend_retention', 'general_settings.maximum_spend_logs_retention_period'],
    description: 'How long single spend log rows are kept; sums are kept for ever',
  },
  journalDurability: {
    type: value.choice(['process', 'power']),
    default: 'process',
    env: ['GATEWAYCTL_JOURNAL_DURABILITY'],
    file: ['gatewayctl.journal_durability'],
    description: 'What the spend journal survives: a killed process, or (slower) a power cut as well',
  },
  maxBudget: {
    type: value.dollars,
    env: ['GATEWAYCTL_MAX_BUDGET'],
    file: ['gatewayctl.max_budget', 'litellm_settings.max_budget', 'general_settings.max_budget'],
    description: 'What all callers together may spend; the same for all daemons',
  },
  maxBudgetDuration: {
    type: value.period,
    env: ['GATEWAYCTL_MAX_BUDGET_DURATION'],
    file: ['gatewayctl.budget_duration', 'litellm_settings.budget_duration', 'general_settings.budget_duration'],
    description: 'For how long that is, such as 1d or 30d; without it for good',
  },
  unpricedModels: {
    type: value.choice(['allow', 'refuse']),
    default: 'allow',
    env: ['GATEWAYCTL_UNPRICED_MODELS'],
    file: ['gatewayctl.unpriced_models'],
    description: 'What becomes of a call under a budget whose price nobody knows: booked at 0, or refused',
  },
  modelAccessStatus: {
    type: value.status([403, 401]),
    default: '403',
    env: ['GATEWAYCTL_COMPAT_MODEL_ACCESS_STATUS'],
    file: ['gatewayctl.compat.model_access_status'],
    description: 'HTTP status for a model the key may not use; LiteLLM answers 401',
  },
  budgetExceededStatus: {
    type: value.status([429, 400]),
    default: '429',
    env: ['GATEWAYCTL_COMPAT_BUDGET_EXCEEDED_STATUS'],
    file: ['gatewayctl.compat.budget_exceeded_status'],
    description: 'HTTP status for an exhausted budget; LiteLLM answers 400',
  },
} as const satisfies Record<string, Setting>;
