import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { isCommandable } from '../../src/cli/commandable.ts';
import { changeOptionsOf } from '../../src/kernel/change-options.ts';
import { operations } from '../../src/operations.ts';
import { type CommandWorld, gatewayctl } from '../support/gateway.ts';
import { lookalikes, type World } from './world.ts';

/** Runs a command and keeps what it printed to be searched. */
async function say(world: World, argv: readonly string[], more: CommandWorld = {}): Promise<number> {
  const { out, err, exit } = await gatewayctl(argv, more);
  const where = `gatewayctl ${argv.slice(0, 3).join(' ')} ends with ${exit}`;
  // An object's metadata is for whoever may see it, and is the one thing on standard output that looks like a credential.
  const answered = exit === 0 ? world.canaries.find(out, ['secret', 'content']).join('\n') : out;
  world.told.push({ where, text: `${answered}\n${err}` });
  return exit;
}

/** Every command with a credential in the place of each word, near and far, and as loud as it can be. */
export async function runCommands(world: World): Promise<number> {
  const { daemon, canaries } = world;
  const words = Object.entries(lookalikes()).map(([name, [text, core]]) =>
    canaries.plant(`${name} as a word`, text, { kind: 'misplaced', core }),
  );
  const env = { GATEWAYCTL_KEY: daemon.masterKey };
  let count = 0;
  for (const [index, operation] of operations.filter(isCommandable).entries()) {
    const { command, cli } = operation;
    const word = words[index % words.length] ?? '';
    const place = (cli.args ?? []).map(() => word);
    const rehearsal = changeOptionsOf(operation).includes('dry_run') ? ['--dry-run'] : [];
    const target = ['--server', daemon.url, '--yes', '--no-input'];
    const loud = index % 2 === 0 ? ['--debug'] : ['--verbose', '--json'];
    await say(world, [...command, ...place, '--insecure-argv', ...rehearsal, ...target, ...loud], { env });
    await say(world, [...command, word, ...loud, `--unknown=${word}`], { env });
    count += 2;
  }
  return count;
}

const direct = [
  'migrate status',
  'migrate plan',
  'crypto status',
  'db url',
  'key list',
  'audit verify',
  'model list',
  'credential list',
];

/** What goes to the database itself, with its password, and says so with every exchange. */
export async function runDirect(world: World): Promise<number> {
  const { stateDir, databaseUrl, encryptionKeyFile } = world;
  const file = join(stateDir, 'database-url');
  await writeFile(file, `${databaseUrl}\n`, { mode: 0o600 });
  const env = { GATEWAYCTL_ENCRYPTION_KEY_FILE: encryptionKeyFile };
  for (const line of direct) await say(world, [...line.split(' '), '--database-url', `@${file}`, '--debug'], { env });
  for (const line of ['migrate status', 'key list']) {
    await say(world, [...line.split(' '), '--debug'], { env: { ...env, GATEWAYCTL_DATABASE_URL: databaseUrl } });
  }
  return direct.length + 2;
}

/** Configurations that are wrong, each around secrets. */
export async function readConfigurations(world: World): Promise<number> {
  const { planted, stateDir } = world;
  const key = (name: string) => planted(`${name} of a wrong configuration`, 'sk-');
  const model = (params: object) => ({
    model_list: [{ model_name: 'm', litellm_params: { model: 'openai/x', ...params } }],
  });
  const documents: unknown[] = [
    model({ api_key: [key('list')] }),
    model({ api_key: { deep: key('map') } }),
    model({ api_key: key('good key'), api_base: `http://user:${planted('password in api_base of a file')}@host/v1` }),
    model({ api_key: key('good key'), [planted('key as a name of a file')]: 1 }),
    model({ model: key('model') }),
    model({ extra_headers: { authorization: `Bearer ${key('header')}` } }),
    {
      general_settings: {
        master_key: [key('master key')],
        database_url: `postgres://u:${planted('password of a file')}@h:x/d`,
      },
    },
    { general_settings: { master_key: planted('short master key').slice(0, 10) } },
    { environment_variables: { OPENAI_API_KEY: [key('variable')] } },
    { gatewayctl: { redis_url: `redis:/x:${planted('password of Redis in a file')}@h` } },
    { gatewayctl: { encryption_key: planted('encryption key that is too short') } },
    { gatewayctl: { jwt: { issuers: [{ issuer: 'x', shared_secret: [planted('list of shared secrets')] }] } } },
    { litellm_settings: { cache_params: { password: planted('password of a cache') } } },
    { [key('section')]: 1 },
  ];
  const texts = [
    ...documents.map((document) => JSON.stringify(document)),
    `model_list:\n  - api_key: "${key('open quote')}\n x: [`,
    `model_list: &a\n  - *${planted('alias of YAML')}\n`,
    `general_settings:\n\tmaster_key: ${key('tab')}\n`,
    `a: ${key('double')}\na: ${key('doubled')}\n`,
  ];
  for (const [index, text] of texts.entries()) {
    const path = join(stateDir, `wrong-${index}.yaml`);
    await writeFile(path, text, { mode: 0o600 });
    await say(world, [
      'migrate',
      'status',
      '--config',
      path,
      '--database-url',
      `@${join(stateDir, 'database-url')}`,
      '--debug',
    ]);
  }
  const variables = {
    GATEWAYCTL_DATABASE_URL: `postgres//u:${planted('password in a variable')}@h/d`,
    GATEWAYCTL_REDIS_URL: `http://:${planted('password of Redis in a variable')}@h`,
    GATEWAYCTL_ENCRYPTION_KEY: planted('encryption key in a variable'),
    GATEWAYCTL_MASTER_KEY: planted('master key that is short').slice(0, 9),
    GATEWAYCTL_PORT: key('port'),
  };
  for (const [name, value] of Object.entries(variables))
    await say(world, ['migrate', 'status', '--debug'], { env: { [name]: value } });
  return texts.length + Object.keys(variables).length;
}
