import { logFormats, logLevels } from '../kernel/log.ts';
import { type Setting } from './setting.ts';
import * as value from './values.ts';

/** Where the daemon listens, what it keeps and where, and how it ends. */
export const daemonSettings = {
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
  maxConnections: {
    type: value.count(1, 1_000_000),
    default: '12000',
    env: ['GATEWAYCTL_MAX_CONNECTIONS'],
    file: ['gatewayctl.max_connections'],
    description: 'Most connections of clients to one listener; what comes beyond them is refused with 503',
  },
  keepAliveTimeout: {
    type: value.time,
    default: '65s',
    env: ['GATEWAYCTL_KEEP_ALIVE_TIMEOUT'],
    file: ['gatewayctl.keep_alive_timeout'],
    description:
      'How long a connection is kept between two requests; a proxy in front of the daemon should give it up sooner',
  },
  adminListen: {
    type: value.endpoint,
    env: ['GATEWAYCTL_ADMIN_LISTEN'],
    flag: 'admin-listen',
    file: ['gatewayctl.admin.listen'],
    description:
      'Address and port of a listener of its own for the admin API; the other then answers calls and health alone',
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
  watchConfig: {
    type: value.yesNo,
    default: 'true',
    env: ['GATEWAYCTL_WATCH_CONFIG'],
    file: ['gatewayctl.watch_config'],
    description: 'Read the configuration file again when it changes; SIGHUP and `daemon reload` do so in any case',
  },
  drainTimeout: {
    type: value.time,
    default: '90s',
    env: ['GATEWAYCTL_DRAIN_TIMEOUT'],
    flag: 'drain-timeout',
    file: ['gatewayctl.drain_timeout'],
    description: 'How long running requests may go on after the daemon was asked to stop',
  },
} as const satisfies Record<string, Setting>;
