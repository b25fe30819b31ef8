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
  dropParams: {
    type: value.yesNo,
    default: 'false',
    env: ['GATEWAYCTL_DROP_PARAMS'],
    file: ['gatewayctl.drop_params', 'litellm_settings.drop_params'],
    description:
      'Whether a call leaves out what its model’s provider has no word for, and says so in a header; else it is refused',
  },
  spendRetention: {
    type: value.retention,
    default: '90d',
    env: ['GATEWAYCTL_SPEND_RETENTION'],
    file: ['gatewayctl.spend_retention', 'general_settings.maximum_spend_logs_retention_period'],
    description: 'How long single spend log rows are kept; sums are kept for ever',
  },
  logBodies: {
    type: value.yesNo,
    default: 'false',
    env: ['GATEWAYCTL_LOG_BODIES'],
    file: ['gatewayctl.log_bodies', 'general_settings.store_prompts_in_spend_logs'],
    description: 'Whether requests and answers are kept, encrypted and apart from the spend logs',
  },
  turnOffMessageLogging: {
    type: value.yesNo,
    default: 'false',
    env: ['GATEWAYCTL_TURN_OFF_MESSAGE_LOGGING'],
    file: ['gatewayctl.turn_off_message_logging', 'litellm_settings.turn_off_message_logging'],
    description: 'Whether no request and no answer is kept or reported, whatever else is set',
  },
  bodyLogLimit: {
    type: value.size(1024 ** 2),
    default: '64KiB',
    env: ['GATEWAYCTL_BODY_LOG_LIMIT'],
    file: ['gatewayctl.body_log_limit'],
    description: 'How much of a request, and of an answer, is kept; the rest is cut off',
  },
  bodyRetention: {
    type: value.retention,
    default: '7d',
    env: ['GATEWAYCTL_BODY_RETENTION'],
    file: ['gatewayctl.body_retention'],
    description: 'How long requests and answers are kept',
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
  enforce: {
    type: value.choice(['strict', 'observe']),
    default: 'strict',
    env: ['GATEWAYCTL_ENFORCE'],
    file: ['gatewayctl.enforce'],
    description:
      'What becomes of a call beyond a budget or a limit: refused (strict), or let through, booked and marked (observe)',
  },
  unpricedModels: {
    type: value.choice(['allow', 'refuse']),
    default: 'allow',
    env: ['GATEWAYCTL_UNPRICED_MODELS'],
    file: ['gatewayctl.unpriced_models'],
    description: 'What becomes of a call under a budget whose price nobody knows: booked at 0, or refused',
  },
  unsizedBatches: {
    type: value.choice(['refuse', 'allow']),
    default: 'refuse',
    env: ['GATEWAYCTL_UNSIZED_BATCHES'],
    file: ['gatewayctl.unsized_batches'],
    description:
      'What becomes of a batch under a budget when nothing limits what it can cost: refused, or booked at a guess until it is over',
  },
  batchPollInterval: {
    type: value.time,
    default: '1m',
    env: ['GATEWAYCTL_BATCH_POLL_INTERVAL'],
    file: ['gatewayctl.batch_poll_interval'],
    description: 'How often upstreams are asked whether batches are over, so that they are booked at what they cost',
  },
  withoutSharedStore: {
    type: value.choice(['per_instance', 'refuse']),
    default: 'per_instance',
    env: ['GATEWAYCTL_LIMITS_WITHOUT_SHARED_STORE'],
    file: ['gatewayctl.limits.without_shared_store'],
    description:
      'While no store answers that daemons count limits in: each admits as much as a limit allows, or calls under one are refused',
  },
  priceFile: {
    type: value.path,
    default: { rule: 'prices.json in the state directory, if it is there' },
    env: ['GATEWAYCTL_PRICE_FILE'],
    file: ['gatewayctl.price_file'],
    description:
      'Prices of models as in LiteLLM’s model_prices_and_context_window.json; they go before the catalogue’s',
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
