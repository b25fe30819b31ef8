import type { Command } from 'commander';
import { durationHint, parseDuration, toMilliseconds } from '../kernel/duration.ts';
import type { Environment } from './io.ts';
import { optionsFor, type Parameter } from './parameter.ts';
import type { TargetFlags } from './target.ts';
import { usage } from './usage.ts';
import { emptyValue, parseValue } from './value.ts';

export const formats = ['table', 'wide', 'list', 'json', 'jsonl', 'yaml', 'csv', 'tsv', 'name', 'env'] as const;
export type Format = (typeof formats)[number];

/** The flags every command takes, as they were given or as the environment says. */
export interface GlobalFlags extends TargetFlags {
  readonly output?: string | undefined;
  readonly fields?: readonly string[] | undefined;
  readonly columns?: readonly string[] | undefined;
  readonly header: boolean;
  readonly quiet: boolean;
  readonly verbose: boolean;
  readonly debug: boolean;
  readonly yes: boolean;
  readonly confirm?: string | undefined;
  readonly noInput: boolean;
  readonly color?: string | undefined;
  readonly timeoutMs: number;
  readonly as?: string | undefined;
}

type Row = readonly [name: string, placeholder: string | false, description: string, more?: Partial<Parameter>];

const rows: readonly Row[] = [
  ['server', 'url', 'The gateway to talk to: https://… or unix:///…', { env: 'GATEWAYCTL_SERVER' }],
  ['direct', false, 'Go straight to the database, past any daemon'],
  [
    'database-url',
    'url|@file|-',
    'Go straight to this PostgreSQL database; no password on the command line',
    { env: 'GATEWAYCTL_DATABASE_URL' },
  ],
  ['state-dir', 'dir', 'Where the local gateway keeps its state', { env: 'GATEWAYCTL_STATE_DIR', completes: 'file' }],
  [
    'config',
    'file',
    'Configuration file: our settings, or a config.yaml of LiteLLM as it is. A daemon that runs already has its own',
    { env: 'GATEWAYCTL_CONFIG', completes: 'file' },
  ],
  ['admin-key-file', 'path', 'A file that holds the admin key', { env: 'GATEWAYCTL_KEY_FILE', completes: 'file' }],
  ['key-file', 'path', 'The same as --admin-key-file', { completes: 'file' }],
  ['admin-key-stdin', false, 'Read the admin key from standard input'],
  [
    'output',
    'format',
    `How to print: ${formats.join(' ')}`,
    { env: 'GATEWAYCTL_OUTPUT', shape: { type: 'string', enum: [...formats], nullable: false } },
  ],
  ['json', false, 'The same as -o json'],
  ['fields', 'a,b.c', 'Only these members of the JSON', { shape: { type: 'array', nullable: false } }],
  ['columns', 'a,b', 'These columns, in this order', { shape: { type: 'array', nullable: false } }],
  ['header', false, 'Head the columns of TSV output'],
  ['quiet', false, 'Print only the id, or only the new secret'],
  ['verbose', false, 'Say which gateway is used, and how it answers'],
  ['debug', false, 'Show each exchange, secrets masked', { env: 'GATEWAYCTL_DEBUG' }],
  ['yes', false, 'Do not ask before a change that can be undone'],
  ['confirm', 'name', 'Confirm a change that cannot be undone by naming its object'],
  ['no-input', false, 'Never ask anything', { env: 'GATEWAYCTL_NO_INPUT' }],
  [
    'color',
    'when',
    'auto, always or never',
    { shape: { type: 'string', enum: ['auto', 'always', 'never'], nullable: false } },
  ],
  ['no-color', false, 'The same as --color never', { env: 'NO_COLOR' }],
  ['timeout', 'duration', 'How long a request may take (default: 30s)', { env: 'GATEWAYCTL_TIMEOUT' }],
  ['as', 'user', 'In whose name to make a change; kept in the audit log'],
  ['insecure-argv', false, 'Accept a secret on the command line', { isHidden: true }],
];

/** Every global flag, as data: for help, completion and manuals. */
export const globalParameters: readonly Parameter[] = rows.map(([name, placeholder, description, more]) =>
  Object.assign(
    {
      field: name,
      name,
      description,
      shape: placeholder ? { type: 'string', nullable: false } : { type: 'boolean', nullable: false, default: false },
      isRequired: false,
      placeholder: placeholder || undefined,
    },
    more,
  ),
);

export function addGlobals(program: Command): void {
  for (const parameter of globalParameters) {
    for (const option of optionsFor(parameter)) program.addOption(option);
  }
}

const debugOn = (value: string | undefined) => Boolean(value) && value !== '0';

/** Reads the global flags of a parsed command line; where one is absent, the environment. Empty means unset. */
export function readGlobals(program: Command, env: Environment): GlobalFlags {
  const given = program.opts<Record<string, unknown>>();
  const texts: Record<string, string> = {};
  for (const { name, shape } of globalParameters) {
    const value = given[name];
    const text = Array.isArray(value) ? value.join(',') : value;
    if (typeof text !== 'string') continue;
    if (text === '') throw emptyValue(`--${name}`);
    texts[name] = shape.enum ? String(parseValue(`--${name}`, text, shape)) : text;
  }
  const is = (name: string) => given[name] === true;
  return {
    server: texts['server'],
    direct: is('direct'),
    databaseUrl: texts['database-url'],
    stateDir: texts['state-dir'],
    config: texts['config'],
    keyFile: texts['key-file'],
    adminKeyFile: texts['admin-key-file'],
    adminKeyStdin: is('admin-key-stdin'),
    insecureArgv: is('insecure-argv'),
    output: texts['output'] ?? (is('json') ? 'json' : env['GATEWAYCTL_OUTPUT'] || undefined),
    fields: texts['fields']?.split(','),
    columns: texts['columns']?.split(','),
    header: is('header'),
    quiet: is('quiet'),
    verbose: is('verbose'),
    debug: is('debug') || debugOn(env['GATEWAYCTL_DEBUG']),
    yes: is('yes'),
    confirm: texts['confirm'],
    noInput: is('no-input') || Boolean(env['GATEWAYCTL_NO_INPUT']) || Boolean(env['CI']),
    color: texts['color'],
    timeoutMs: milliseconds(texts['timeout'] ?? (env['GATEWAYCTL_TIMEOUT'] || '30s')),
    as: texts['as'],
  };
}

function milliseconds(text: string): number {
  const duration = parseDuration(text);
  if (!duration || duration.count === 0) throw usage('invalid_value', `--timeout: "${text}" ${durationHint}.`);
  return toMilliseconds(duration);
}
