import { randomBytes } from 'node:crypto';
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Pool } from 'pg';
import { generateSecret } from '../../src/kernel/secret.ts';
import { startUpstream } from '../proxy/upstream.ts';
import { openCluster } from '../support/cluster.ts';
import { mintToken, secretMint } from '../support/forge.ts';
import { type Answer, aStateDir, startDaemon } from '../support/gateway.ts';
import { startRelay } from '../support/postgres-relay.ts';
import { skipWithoutRedis, startRedis } from '../support/redis.ts';
import { Canaries, unique } from './canaries.ts';
import { monitorRedis } from './sinks.ts';

/** The part of a key of ours that only its holder knows. */
export const coreOf = (key: string): string => key.replace(/^sk-gwm?1_/, '');

/** Credentials of every kind, each in a format that is known by its look. */
export const lookalikes = (): Readonly<Record<string, readonly [text: string, core: string]>> => {
  const [key, project, google, github, password, bearer, token] = Array.from({ length: 7 }, () => unique(32));
  const aws = unique(16).toUpperCase();
  const own = generateSecret('virtual');
  const parts = [{ alg: 'RS256', typ: 'JWT' }, { sub: token }].map((part) =>
    Buffer.from(JSON.stringify(part)).toString('base64url'),
  );
  const jwt = [...parts, token].join('.');
  return {
    'key of ours': [own, coreOf(own)],
    'key of OpenAI': [`sk-proj-${project}`, project ?? ''],
    'key of Anthropic': [`sk-ant-api03-${key}`, key ?? ''],
    'key of Google': [`AIza${google}abc`, google ?? ''],
    'key of AWS': [`AKIA${aws}`, aws],
    'token of GitHub': [`ghp_${github}abcd`, github ?? ''],
    JWT: [jwt, token ?? ''],
    bearer: [`Bearer ${bearer}`, bearer ?? ''],
    'address with a password': [`postgres://user:${password}@db.example/gateway`, password ?? ''],
  };
};

export type World = Awaited<ReturnType<typeof startWorld>>;

/** A daemon that has a secret in every place that is made for one. */
export async function startWorld() {
  await using opened = new AsyncDisposableStack();
  const canaries = new Canaries();
  const planted = (name: string, prefix = ''): string => {
    const core = unique(28);
    return canaries.plant(name, prefix + core, { core });
  };

  const masterKey = generateSecret('master');
  canaries.plant('master key', masterKey, { core: coreOf(masterKey) });
  const encryptionKey = canaries.plant('encryption key', randomBytes(32).toString('base64'));
  const previousKey = canaries.plant('previous encryption key', randomBytes(32).toString('base64'));
  const databasePassword = planted('password of DATABASE_URL');
  const redisPassword = planted('password of REDIS_URL');
  const sharedSecret = planted('shared secret of an issuer', 'shared-secret-of-it-');
  const inConfig = planted('api_key in the configuration', 'sk-');
  const inEnvironment = planted('api_key in the environment', 'plain-');
  const plainInConfig = planted('api_key in the configuration that looks like nothing');

  const upstream = opened.use(await startUpstream({ text: 'hello' }));
  const stateDir = await aStateDir();
  const clusterDir = await aStateDir();
  for (const path of [stateDir, clusterDir]) opened.defer(() => rm(path, { recursive: true, force: true }));
  const cluster = opened.use(await openCluster(clusterDir));
  const pool = new Pool({ connectionString: cluster.url, max: 4 });
  pool.on('error', () => undefined);
  opened.defer(() => pool.end());
  const relay = opened.use(await startRelay(cluster.url));
  const redis = skipWithoutRedis === false ? opened.use(await startGuardedRedis(redisPassword)) : undefined;

  const issuer = 'https://issuer.example';
  const config = join(stateDir, 'config.yaml');
  const model = (name: string, params: object) => ({
    model_name: name,
    litellm_params: { model: 'openai/gpt-4o', api_base: upstream.url, ...params },
  });
  const document = {
    model_list: [
      model('in-config', { api_key: inConfig }),
      model('in-environment', { api_key: 'os.environ/PROVIDER_KEY' }),
      model('plain-in-config', { api_key: plainInConfig }),
      model('unreachable', { api_key: inConfig, api_base: 'http://127.0.0.1:9/v1' }),
      { model_name: 'mock-gpt', litellm_params: { model: 'mock/gpt' } },
    ],
    general_settings: { enable_jwt_auth: true },
    gatewayctl: { jwt: { issuers: [{ issuer, audience: 'gw', algorithms: ['HS256'], shared_secret: sharedSecret }] } },
  };
  await writeFile(config, JSON.stringify(document), { mode: 0o600 });
  const encryptionKeyFile = join(stateDir, 'encryption-key');
  await writeFile(encryptionKeyFile, `${encryptionKey}\n`, { mode: 0o600 });
  const databaseUrl = relay.url.replace('gatewayctl@', `gatewayctl:${databasePassword}@`);

  const daemon = opened.use(
    await startDaemon({
      stateDir,
      databaseUrl,
      args: ['--config', config],
      env: {
        // What fails is not asked for again: it would take a minute, and say nothing else.
        GATEWAYCTL_NUM_RETRIES: '0',
        GATEWAYCTL_MASTER_KEY: masterKey,
        ...(redis && { GATEWAYCTL_REDIS_URL: redis.url }),
        GATEWAYCTL_ENCRYPTION_KEY_FILE: encryptionKeyFile,
        GATEWAYCTL_ENCRYPTION_KEY_PREVIOUS: previousKey,
        GATEWAYCTL_LOG_LEVEL: 'debug',
        GATEWAYCTL_UPSTREAM_FIRST_BYTE_TIMEOUT: '1s',
        GATEWAYCTL_UPSTREAM_IDLE_TIMEOUT: '1s',
        PROVIDER_KEY: inEnvironment,
      },
    }),
  );
  const token = mintToken(secretMint(issuer, 'gw', sharedSecret), { claims: { sub: unique() } });
  canaries.plant('JWT of a known issuer', token, { core: token.split('.').at(-1) ?? '' });

  /** What came out, and is to be searched when all is done. */
  const told: { readonly where: string; readonly text: string }[] = [];

  /** A request, of whose answer nothing may be a canary but the new key that it is there to give. */
  async function request(method: string, path: string, options: Parameters<typeof daemon.request>[2] = {}) {
    const answer = await daemon.request(method, path, options);
    if (answer.status >= 400)
      told.push({ where: `${method} ${path.split('?')[0]} ${answer.status}`, text: textOf(answer) });
    return answer;
  }

  /** Makes a virtual key, which is a secret from then on. */
  async function newKey(name: string, body: object = {}): Promise<string> {
    const { key } = (await daemon.request('POST', '/key/generate', { body })).body;
    return canaries.plant(name, key, { core: coreOf(key) });
  }

  const kept = opened.move();
  return {
    canaries,
    planted,
    upstream,
    stateDir,
    clusterDir,
    pool,
    relay,
    redis,
    daemon,
    config,
    databaseUrl,
    encryptionKeyFile,
    encryptionKey,
    token,
    told,
    request,
    newKey,
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}

/** A Redis that asks for a password, and what it is told. */
async function startGuardedRedis(password: string) {
  const redis = await startRedis();
  await redis.ask(`config set requirepass ${password}`);
  const port = Number(new URL(redis.url).port);
  const monitor = await monitorRedis(port, password);
  return {
    ...redis,
    url: `redis://:${password}@127.0.0.1:${port}`,
    heard: () => monitor.heard,
    ask: (command: string) => redis.ask(`auth ${password}\r\n${command}`),
    async [Symbol.asyncDispose]() {
      monitor[Symbol.dispose]();
      await redis[Symbol.asyncDispose]();
    },
  };
}

export const textOf = ({ text, headers }: Answer): string => `${text}\n${JSON.stringify([...headers])}`;
