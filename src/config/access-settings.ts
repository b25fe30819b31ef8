import { type Setting, seconds } from './setting.ts';
import * as value from './values.ts';

/** Who is let in, from where, and for how long that is remembered. */
export const accessSettings = {
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
} as const satisfies Record<string, Setting>;
