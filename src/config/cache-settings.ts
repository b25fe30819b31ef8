import type { CallType } from '../metering/call.ts';
import { type Setting, seconds } from './setting.ts';
import * as value from './values.ts';

/** LiteLLM's names of the calls whose answers can be cached, and what they are called in the spend log. */
const cacheable: Readonly<Record<string, CallType>> = {
  completion: 'chat_completion',
  acompletion: 'chat_completion',
  text_completion: 'text_completion',
  atext_completion: 'text_completion',
  embedding: 'embedding',
  aembedding: 'embedding',
  moderation: 'moderation',
  amoderation: 'moderation',
  transcription: 'transcription',
  atranscription: 'transcription',
  rerank: 'rerank',
  arerank: 'rerank',
  anthropic_messages: 'anthropic_messages',
};

/** The kinds of calls in a list of LiteLLM's names. */
export const cachedCallTypes = (names: readonly string[]): ReadonlySet<CallType> =>
  new Set(names.flatMap((name) => (Object.hasOwn(cacheable, name) ? (cacheable[name] ?? []) : [])));

/** Whether answers are kept for whoever asks the same again, where, and for how long. */
export const cacheSettings = {
  cache: {
    type: value.yesNo,
    default: 'false',
    env: ['GATEWAYCTL_RESPONSE_CACHE'],
    file: ['gatewayctl.response_cache.enabled', 'litellm_settings.cache'],
    description: 'Whether an answer is kept and given again to whoever asks the very same',
  },
  cacheType: {
    type: value.choice(['local', 'redis'], new Map([['memory', 'local'] as const])),
    env: ['GATEWAYCTL_RESPONSE_CACHE_TYPE'],
    file: ['gatewayctl.response_cache.type', 'litellm_settings.cache_params.type'],
    description: 'Where cached answers are: in the memory of each daemon, or in a Redis; the latter where one is named',
  },
  cacheMode: {
    type: value.choice(['default_on', 'default_off']),
    default: 'default_on',
    env: ['GATEWAYCTL_RESPONSE_CACHE_MODE'],
    file: ['gatewayctl.response_cache.mode', 'litellm_settings.cache_params.mode'],
    description: 'Whether every call is looked up in the cache, or only one with cache: {"use-cache": true}',
  },
  cacheTtl: {
    type: value.time,
    default: '600s',
    env: ['GATEWAYCTL_RESPONSE_CACHE_TTL'],
    file: ['gatewayctl.response_cache.ttl', seconds('litellm_settings.cache_params.ttl')],
    description: 'How long an answer is kept, where its call does not say',
  },
  cacheCallTypes: {
    type: value.listOf(Object.keys(cacheable)),
    default: 'completion,text_completion,embedding,transcription,rerank,anthropic_messages',
    env: ['GATEWAYCTL_RESPONSE_CACHE_CALL_TYPES'],
    file: ['gatewayctl.response_cache.supported_call_types', 'litellm_settings.cache_params.supported_call_types'],
    isList: true,
    description: 'Calls whose answers are cached, by LiteLLM’s names',
  },
  cacheNamespace: {
    type: value.text,
    env: ['GATEWAYCTL_RESPONSE_CACHE_NAMESPACE'],
    file: ['gatewayctl.response_cache.namespace', 'litellm_settings.cache_params.namespace'],
    description: 'Keeps the cached answers of several gateways with the same keys in one Redis apart',
  },
  cacheScope: {
    type: value.choice(['tenant', 'everybody']),
    default: 'tenant',
    env: ['GATEWAYCTL_RESPONSE_CACHE_SCOPE'],
    file: ['gatewayctl.response_cache.scope'],
    description:
      'Who is given what whom was answered: the keys of a team, or a key without one, among themselves; or everybody',
  },
  cacheSize: {
    type: value.size(64 * 1024 ** 3),
    default: '64MiB',
    env: ['GATEWAYCTL_RESPONSE_CACHE_SIZE'],
    file: ['gatewayctl.response_cache.size'],
    description: 'Most memory that the cached answers of one daemon take',
  },
  cacheEntries: {
    type: value.count(1, 10_000_000),
    default: '10000',
    env: ['GATEWAYCTL_RESPONSE_CACHE_ENTRIES'],
    file: ['gatewayctl.response_cache.entries'],
    description: 'Most answers that the memory of one daemon holds',
  },
  cacheAnswerSize: {
    type: value.size(64 * 1024 ** 2),
    default: '1MiB',
    env: ['GATEWAYCTL_RESPONSE_CACHE_ANSWER_SIZE'],
    file: ['gatewayctl.response_cache.answer_size'],
    description: 'Largest answer that is cached',
  },
  cacheRedisUrl: {
    type: value.url('redis', 'rediss'),
    env: ['GATEWAYCTL_RESPONSE_CACHE_REDIS_URL'],
    file: ['gatewayctl.response_cache.redis_url', 'litellm_settings.cache_params.url'],
    secret: 'password',
    description: 'The Redis of cached answers, where it is not the gateway’s',
  },
  cacheRedisHost: {
    type: value.host,
    env: ['GATEWAYCTL_RESPONSE_CACHE_REDIS_HOST', 'REDIS_HOST'],
    file: ['gatewayctl.response_cache.redis_host', 'litellm_settings.cache_params.host'],
    description: 'The same as LiteLLM has it: the host',
  },
  cacheRedisPort: {
    type: value.port,
    default: '6379',
    env: ['GATEWAYCTL_RESPONSE_CACHE_REDIS_PORT', 'REDIS_PORT'],
    file: ['gatewayctl.response_cache.redis_port', 'litellm_settings.cache_params.port'],
    description: 'The port, where there is a host',
  },
  cacheRedisUsername: {
    type: value.text,
    env: ['GATEWAYCTL_RESPONSE_CACHE_REDIS_USERNAME', 'REDIS_USERNAME'],
    file: ['gatewayctl.response_cache.redis_username', 'litellm_settings.cache_params.username'],
    description: 'The user, where there is a host',
  },
  cacheRedisPassword: {
    type: value.text,
    env: ['GATEWAYCTL_RESPONSE_CACHE_REDIS_PASSWORD', 'REDIS_PASSWORD'],
    file: ['gatewayctl.response_cache.redis_password', 'litellm_settings.cache_params.password'],
    secret: 'whole',
    description: 'The password, where there is a host',
  },
  cacheRedisTls: {
    type: value.yesNo,
    default: 'false',
    env: ['GATEWAYCTL_RESPONSE_CACHE_REDIS_TLS', 'REDIS_SSL'],
    file: ['gatewayctl.response_cache.redis_tls', 'litellm_settings.cache_params.ssl'],
    description: 'Whether the connection is encrypted, where there is a host',
  },
} as const satisfies Record<string, Setting>;
