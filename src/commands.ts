import type { LocalCommand, LocalContext, LocalOption } from './cli/local-command.ts';
import { settingNames, settingOf, typedFlag } from './config/settings.ts';
import { yesNo } from './config/values.ts';
import type * as cryptoWork from './crypto-work.ts';
import { liveCommands } from './live-commands.ts';
import { priceCommands } from './price-commands.ts';
import type * as work from './local-work.ts';
import type { Runtime } from './runtime.ts';
import { spendCommands } from './spend-commands.ts';

/** Flags of the whole program, which `serve` therefore need not have again. */
const global = new Set(['state-dir', 'database-url']);

/** Each setting that has a flag, as an option of `serve`. */
const settingOptions: readonly LocalOption[] = settingNames.flatMap((name) => {
  const setting = settingOf(name);
  const flag = typedFlag(setting);
  if (!flag || global.has(flag)) return [];
  const { env, description, type } = setting;
  const more = { name: flag, ...(env[0] && { env: env[0] }) };
  if (type === yesNo) {
    const isOff = flag !== setting.flag;
    const sentence = isOff ? `Do not: ${description.charAt(0).toLowerCase()}${description.slice(1)}` : description;
    return { ...more, description: sentence, type: 'boolean' };
  }
  if (!flag.endsWith('-file')) return { ...more, description, placeholder: flag.replace(/^.*-/, '') };
  return { ...more, description, placeholder: 'path', completes: 'file' };
});

/** What was typed after `serve`, by the flags that the settings know. */
export function settingFlags(options: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const flags = { ...options };
  for (const setting of settingNames.map(settingOf)) {
    const typed = typedFlag(setting);
    if (setting.flag && typed && typed !== setting.flag && options[typed] === true) flags[setting.flag] = false;
  }
  return flags;
}

type Work = typeof work;
const dryRun = {
  name: 'dry-run',
  type: 'boolean',
  description: 'Say what would be done, and do nothing of it',
} as const;

type CryptoWork = typeof cryptoWork;

/** The commands that are not operations. What they do is loaded when one of them runs. */
export function localCommands(runtime: () => Runtime): readonly LocalCommand[] {
  const run =
    (choose: (all: Work) => (context: LocalContext, runtime: Runtime) => Promise<number | void>) =>
    async (context: LocalContext) =>
      choose(await import('./local-work.ts'))(context, runtime());
  const crypto =
    (choose: (all: CryptoWork) => (context: LocalContext, runtime: Runtime) => Promise<number>) =>
    async (context: LocalContext) =>
      choose(await import('./crypto-work.ts'))(context, runtime());
  return [
    ...priceCommands(runtime, dryRun),
    {
      path: ['jwt', 'inspect'],
      summary: 'Show what stands in a JWT, unverified',
      description:
        'Asks nobody and verifies nothing: anybody can write a token that says anything. `gatewayctl jwt test` verifies one.',
      args: [{ name: 'token', description: '@ and a file, or - for standard input', isRequired: true }],
      examples: [
        ['From a file', 'gatewayctl jwt inspect @token.jwt'],
        ['From another program', 'gatewayctl jwt inspect -'],
      ],
      run: async (context) => (await import('./jwt-inspect.ts')).inspectToken(context),
    },
    {
      path: ['serve'],
      group: 'Daemon',
      summary: 'Run the daemon',
      description:
        'Runs in the foreground until SIGTERM or SIGINT; then running requests may finish, spend is written, and it ends with 0. Without a database URL an embedded PostgreSQL runs in the state directory.',
      options: settingOptions,
      examples: [
        ['With the embedded database and a mock model', 'gatewayctl serve'],
        ['With a configuration', 'gatewayctl serve --config /etc/gatewayctl/config.yaml --port 4000'],
      ],
      exits: [
        [69, 'no database'],
        [71, 'the operating system does not let us'],
        [73, 'a port or socket cannot be had'],
        [78, 'the configuration is wrong'],
      ],
      run: run(({ runServe }) => runServe),
    },
    {
      path: ['migrate', 'up'],
      summary: 'Bring the database schema up to date',
      options: [dryRun],
      examples: [['Before a new version of the daemon', 'gatewayctl migrate up']],
      run: run(({ migrateUp }) => migrateUp),
    },
    {
      path: ['migrate', 'status'],
      summary: 'Show which migrations the database has',
      examples: [['In a script', 'gatewayctl migrate status && echo up to date']],
      exits: [[1, 'migrations are pending']],
      run: run(({ showStatus }) => showStatus),
    },
    {
      path: ['migrate', 'plan'],
      summary: 'Print the SQL that migrate up would run',
      examples: [['To a file, for a reviewer', 'gatewayctl migrate plan']],
      run: run(({ showPlan }) => showPlan),
    },
    {
      path: ['crypto', 'status'],
      summary: 'Show which encryption key each stored secret is under',
      description: 'Opens every one of them with the keys that are configured, and shows none.',
      examples: [['Before a key is thrown away', 'gatewayctl crypto status']],
      exits: [[1, 'a secret does not open, or is not under the present key']],
      run: crypto(({ showCrypto }) => showCrypto),
    },
    {
      path: ['crypto', 'rotate'],
      summary: 'Put every stored secret under another encryption key',
      description:
        'Wraps the data keys anew and leaves what they encrypt as it is. It may be interrupted at any moment and run again: a secret is under the one key or the other. Every daemon must have both keys before, one of them as encryption_key_previous.',
      options: [
        {
          name: 'new-key-file',
          placeholder: 'path',
          completes: 'file',
          description: 'File with the new key; without it, encryption_key takes over from encryption_key_previous',
        },
        dryRun,
      ],
      examples: [['To a new key', 'gatewayctl crypto rotate --new-key-file /etc/gatewayctl/encryption-key.new']],
      exits: [[1, 'a secret does not open, and stays as it is']],
      run: crypto(({ rotateCrypto }) => rotateCrypto),
    },
    {
      path: ['db', 'url'],
      summary: 'Print the address of the database',
      options: [{ name: 'reveal', type: 'boolean', description: 'Print the password too' }],
      examples: [['For a tool of your own', 'gatewayctl db url']],
      run: run(({ showUrl }) => showUrl),
    },
    {
      path: ['db', 'psql'],
      summary: 'Open the database in psql',
      description: 'Needs psql on the PATH. Words after -- are handed to it.',
      args: [{ name: 'words', description: 'For psql', type: 'list', isRequired: false }],
      examples: [['One statement', 'gatewayctl db psql -- -c "select count(*) from gatewayctl.keys"']],
      run: run(({ runPsql }) => runPsql),
    },
    {
      path: ['db', 'dump'],
      summary: 'Write the whole database to a file',
      description: 'A file is made anew with mode 0600 and never overwritten. A running daemon is not disturbed.',
      args: [{ name: 'file', description: 'The file, or - for standard output', completes: 'file', isRequired: true }],
      examples: [['A copy for the night', 'gatewayctl db dump /var/backups/gatewayctl.jsonl']],
      run: run(({ dumpDatabase }) => dumpDatabase),
    },
    {
      path: ['db', 'restore'],
      summary: 'Fill an empty database from a dump',
      description: 'Whole or not at all. The database must be empty.',
      options: [dryRun],
      args: [{ name: 'file', description: 'The file, or - for standard input', completes: 'file', isRequired: true }],
      examples: [['Into a new state directory', 'gatewayctl db restore backup.jsonl --state-dir /srv/gateway']],
      run: run(({ restoreDatabase }) => restoreDatabase),
    },
    ...liveCommands(runtime),
    ...spendCommands,
  ];
}
