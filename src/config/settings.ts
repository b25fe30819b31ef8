import type { z } from 'zod';
import { logFormats, logLevels } from '../kernel/log.ts';
import * as value from './values.ts';

/** One setting: everything there is to know of it. Reading, error messages and manual pages follow from this. */
export interface Setting {
  readonly type: value.Value<unknown>;
  /** As it would be typed; absent for what stays undefined, and a rule where it depends on the surroundings. */
  readonly default?: string | { readonly rule: string };
  /** Environment variables: ours first, then LiteLLM's. */
  readonly env: readonly string[];
  /** Of `serve`, without dashes. One of a secret takes the path of a file, or `@path`, because argv is public. */
  readonly flag?: string;
  /** Places in the configuration file: ours first, then LiteLLM's. */
  readonly file: readonly (string | FilePlace)[];
  /** A file may hold a list: its entries are joined by commas. */
  readonly isList?: true;
  /** Never shown. `password`: a URL, of which only the password is hidden. */
  readonly secret?: 'whole' | 'password';
  readonly description: string;
}

/** A place where LiteLLM writes a bare number; `unit` is what it counts. */
export interface FilePlace {
  readonly path: string;
  readonly unit: 's' | 'MiB';
}

const seconds = (path: string): FilePlace => ({ path, unit: 's' });

/** Every setting of the gateway. To add one, add it here and read it from `Settings`. */
export const settings = {
  host: {
    type: value.host,
    default: '127.0.0.1',
    env: ['GATEWAYCTL_HOST', 'HOST'],
    flag: 'host',
    file: ['gatewayctl.host'],
    description: 'Address the gateway listens on; 0.0.0.0 for every interface',
  },
  port: {
    type: value.port,
    default: '4000',
    env: ['GATEWAYCTL_PORT', 'PORT'],
    flag: 'port',
    file: ['gatewayctl.port'],
    description: 'TCP port the gateway listens on; 0 takes a free one',
  },
  stateDir: {
    type: value.path,
    default: {
      rule: 'STATE_DIRECTORY (systemd), else /var/lib/gatewayctl for root, else $XDG_STATE_HOME/gatewayctl or ~/.local/state/gatewayctl',
    },
    env: ['GATEWAYCTL_STATE_DIR'],
    flag: 'state-dir',
    file: ['gatewayctl.state_dir'],
    description: 'Directory for the embedded database, the spend journal, generated keys and the admin socket',
  },
  databaseUrl: {
    type: value.url('postgresql', 'postgres'),
    env: ['GATEWAYCTL_DATABASE_URL', 'DATABASE_URL'],
    flag: 'database-url',
    file: ['gatewayctl.database_url', 'general_settings.database_url'],
    secret: 'password',
    description: 'PostgreSQL to use; without one an embedded PostgreSQL runs in the state directory',
  },
  dbPoolSize: {
    type: value.count(1, 200),
    default: '20',
    env: ['GATEWAYCTL_DB_POOL_SIZE'],
    file: ['gatewayctl.db_pool_size', 'general_settings.database_connection_pool_limit'],
    description: 'Most connections to PostgreSQL of one process',
  },
  migrate: {
    type: value.yesNo,
    default: 'true',
    env: ['GATEWAYCTL_MIGRATE'],
    flag: 'migrate',
    file: ['gatewayctl.migrate'],
    description: 'Bring the database schema up to date at start',
  },
  redisUrl: {
    type: value.url('redis', 'rediss'),
    env: ['GATEWAYCTL_REDIS_URL', 'REDIS_URL'],
    flag: 'redis-url',
    file: ['gatewayctl.redis_url', 'router_settings.redis_url'],
    secret: 'password',
    description: 'Redis for a cache tier shared by several daemons; without one each caches for itself',
  },
  masterKey: {
    type: value.text,
    env: ['GATEWAYCTL_MASTER_KEY', 'LITELLM_MASTER_KEY'],
    flag: 'master-key-file',
    file: ['gatewayctl.master_key', 'general_settings.master_key'],
    secret: 'whole',
    description: 'Key of the administrator; begins with sk-. With the embedded database one is generated once',
  },
  insecureDevKey: {
    type: value.yesNo,
    default: 'false',
    env: ['GATEWAYCTL_INSECURE_DEV_KEY'],
    flag: 'insecure-dev-key',
    file: ['gatewayctl.insecure_dev_key'],
    description: 'Accept a published or guessable master key such as sk-1234; for tests on one machine only',
  },
  encryptionKey: {
    type: value.key256,
    env: ['GATEWAYCTL_ENCRYPTION_KEY'],
    flag: 'encryption-key-file',
    file: ['gatewayctl.encryption_key'],
    secret: 'whole',
    description: 'Key that encrypts provider credentials in the database: 32 random bytes in base64 or hex',
  },
  encryptionKeyPrevious: {
    type: value.key256,
    env: ['GATEWAYCTL_ENCRYPTION_KEY_PREVIOUS'],
    flag: 'encryption-key-previous-file',
    file: ['gatewayctl.encryption_key_previous'],
    secret: 'whole',
    description: 'Second key that opens provider credentials, while one takes the place of the other',
  },
  keyHeaderName: {
    type: value.headerName,
    env: ['GATEWAYCTL_KEY_HEADER_NAME'],
    file: ['gatewayctl.key_header_name', 'general_settings.litellm_key_header_name'],
    description: 'A further request header in which clients may send their key',
  },
  adminListen: {
    type: value.endpoint,
    env: ['GATEWAYCTL_ADMIN_LISTEN'],
    flag: 'admin-listen',
    file: ['gatewayctl.admin.listen'],
    description:
      'Address and port of a listener of its own for the admin API; the other then answers calls and health alone',
  },
  adminAllowedIps: {
    type: value.networks,
    env: ['GATEWAYCTL_ADMIN_ALLOWED_IPS'],
    file: ['gatewayctl.admin.allowed_ips'],
    isList: true,
    description: 'Addresses and networks from which the admin API may be used; everywhere when not set',
  },
  allowedIps: {
    type: value.networks,
    env: ['GATEWAYCTL_ALLOWED_IPS'],
    file: ['gatewayctl.allowed_ips', 'general_settings.allowed_ips'],
    isList: true,
    description: 'Addresses and networks from which keys are accepted at all; everywhere when not set',
  },
  masterKeyAllowedIps: {
    type: value.networksOrNone,
    env: ['GATEWAYCTL_MASTER_KEY_ALLOWED_IPS'],
    file: ['gatewayctl.master_key_allowed_ips'],
    isList: true,
    description:
      'Addresses and networks from which the master key is accepted; none leaves the admin socket alone to the operator',
  },
  trustedProxies: {
    type: value.networks,
    env: ['GATEWAYCTL_TRUSTED_PROXIES'],
    file: ['gatewayctl.trusted_proxies'],
    isList: true,
    description: 'Proxies whose X-Forwarded-For is believed; without one the address is that of the connection',
  },
  jwtEnabled: {
    type: value.yesNo,
    default: 'false',
    env: ['GATEWAYCTL_JWT'],
    file: ['gatewayctl.jwt.enabled', 'general_settings.enable_jwt_auth'],
    description: 'Accept JWTs of the issuers that are configured, beside virtual keys',
  },
  jwtIssuer: {
    type: value.list,
    env: ['GATEWAYCTL_JWT_ISSUER', 'JWT_ISSUER'],
    file: ['gatewayctl.jwt.issuer'],
    description: 'Issuer of JWTs, as it stands in their iss; settings of its own are in gatewayctl.jwt.issuers',
  },
  jwtAudience: {
    type: value.list,
    env: ['GATEWAYCTL_JWT_AUDIENCE', 'JWT_AUDIENCE'],
    file: ['gatewayctl.jwt.audience'],
    description: 'Audiences of JWTs for this gateway: their aud has to hold one of these',
  },
  jwtPublicKeyUrl: {
    type: value.list,
    env: ['GATEWAYCTL_JWT_PUBLIC_KEY_URL', 'JWT_PUBLIC_KEY_URL'],
    file: ['gatewayctl.jwt.public_key_url'],
    description:
      'Key sets or OpenID discovery documents of the issuer; without one, what is discovered below the issuer',
  },
  logLevel: {
    // LiteLLM's LITELLM_LOG has Python's names.
    type: value.choice(logLevels, new Map([['warning', 'warn'] as const, ['critical', 'error'] as const])),
    default: 'info',
    env: ['GATEWAYCTL_LOG_LEVEL', 'LITELLM_LOG'],
    flag: 'log-level',
    file: ['gatewayctl.log_level'],
    description: 'Least important log lines that are written: debug, info, warn or error',
  },
  logFormat: {
    type: value.choice(logFormats),
    default: 'auto',
    env: ['GATEWAYCTL_LOG_FORMAT'],
    flag: 'log-format',
    file: ['gatewayctl.log_format'],
    description: 'Log lines as json or text; auto is text on a terminal and under journald',
  },
  drainTimeout: {
    type: value.time,
    default: '90s',
    env: ['GATEWAYCTL_DRAIN_TIMEOUT'],
    flag: 'drain-timeout',
    file: ['gatewayctl.drain_timeout'],
    description: 'How long running requests may go on after the daemon was asked to stop',
  },
  bodyLimit: {
    type: value.size(1024 ** 3),
    default: '10MiB',
    env: ['GATEWAYCTL_BODY_LIMIT'],
    file: ['gatewayctl.body_limit', { path: 'general_settings.max_request_size_mb', unit: 'MiB' }],
    description: 'Largest request body that is read',
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
  authCacheTtl: {
    type: value.time,
    default: '5s',
    env: ['GATEWAYCTL_AUTH_CACHE_TTL'],
    file: ['gatewayctl.auth_cache_ttl', seconds('general_settings.user_api_key_cache_ttl')],
    description:
      'How long a daemon remembers a key before it looks again; changes are announced and do not wait for it',
  },
  authStaleMax: {
    type: value.timeOrNone,
    default: '30s',
    env: ['GATEWAYCTL_AUTH_STALE_MAX'],
    file: ['gatewayctl.auth_stale_max'],
    description:
      'How long keys that a daemon remembers may go on calling models while the database is away; a change made meanwhile is not seen',
  },
  redisCacheTtl: {
    type: value.time,
    default: '300s',
    env: ['GATEWAYCTL_REDIS_CACHE_TTL'],
    file: ['gatewayctl.redis_cache_ttl'],
    description: 'How long Redis remembers a key',
  },
  keyAliasFormat: {
    type: value.yesNo,
    default: 'false',
    env: ['GATEWAYCTL_KEY_ALIAS_FORMAT'],
    file: ['gatewayctl.key_alias_format', 'litellm_settings.enable_key_alias_format_validation'],
    description:
      'Refuse aliases of keys that are not 2 to 255 letters, digits and _-/.@ with a letter or digit at both ends',
  },
  rotationSecretsDir: {
    type: value.path,
    env: ['GATEWAYCTL_ROTATION_SECRETS_DIR'],
    flag: 'rotation-secrets-dir',
    file: ['gatewayctl.rotation_secrets_dir'],
    description:
      'Directory that new secrets of keys with auto_rotate are written to; without one no key is rotated by itself',
  },
  rotationGrace: {
    type: value.timeOrNone,
    default: '24h',
    env: ['GATEWAYCTL_ROTATION_GRACE', 'LITELLM_KEY_ROTATION_GRACE_PERIOD'],
    file: ['gatewayctl.rotation_grace'],
    description: 'How long the old secret of a key goes on working after the daemon has replaced it',
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

export type SettingName = keyof typeof settings;

/** A value for each setting. One without a default may be undefined. */
export type SettingValues = {
  readonly [Name in SettingName]:
    | z.output<(typeof settings)[Name]['type']>
    | ((typeof settings)[Name] extends { default: unknown } ? never : undefined);
};

// oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the keys of a literal are exactly its names
export const settingNames = Object.keys(settings) as SettingName[];

/** A setting as what all of them have in common. */
export const settingOf = (name: SettingName): Setting => settings[name];

/** Variables that name the configuration file: ours, then LiteLLM's. No file is read unless it is named. */
export const configFileVariables = ['GATEWAYCTL_CONFIG', 'CONFIG_FILE_PATH'] as const;

/** How a setting is typed after `serve`. A yes that is the default is only ever turned off: `--no-migrate`. */
export function typedFlag({ flag, type, default: usual }: Setting): string | undefined {
  return flag && type === value.yesNo && usual === 'true' ? `no-${flag}` : flag;
}

const kebab = (name: string): string => name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);

/** The file that holds a secret in systemd's `$CREDENTIALS_DIRECTORY`. */
export const credentialName = (name: SettingName): string | undefined =>
  settingOf(name).secret ? kebab(name) : undefined;

/** A row of the settings' documentation. */
export interface SettingRow {
  readonly name: string;
  readonly description: string;
  /** Completes "must be …". */
  readonly takes: string;
  readonly default: string;
  /** All that are looked at, first one first: a secret's `_FILE` variables included. */
  readonly env: readonly string[];
  readonly flag: string | undefined;
  readonly file: readonly string[];
  readonly credential: string | undefined;
  readonly isSecret: boolean;
}

/** All settings, for manual pages and `docs/`. */
export function describeSettings(): SettingRow[] {
  return settingNames.map((name) => {
    const setting = settingOf(name);
    const { type, default: fallback = '', env, file, secret, description } = setting;
    const flag = typedFlag(setting);
    return {
      name,
      description,
      takes: type.meta()?.description ?? '',
      default: typeof fallback === 'string' ? fallback : fallback.rule,
      env: secret ? env.flatMap((variable) => [`${variable}_FILE`, variable]) : env,
      flag: flag && `--${flag}`,
      file: file.map((place) => (typeof place === 'string' ? place : place.path)),
      credential: credentialName(name),
      isSecret: secret !== undefined,
    };
  });
}
