import { resolve } from 'node:path';
import { z } from 'zod';
import { App, type Services } from './app.ts';
import type { LocalContext } from './cli/local-command.ts';
import { refuseMasterKey, resolveKeyRing } from './config/encryption-key.ts';
import { resolveMasterKey } from './config/master-key.ts';
import { readSecretFile } from './config/secret-file.ts';
import { key256 } from './config/values.ts';
import { type Database, openDatabase } from './database.ts';
import { requireCurrent } from './db/migrate.ts';
import { type SealedText, sealedTexts } from './db/sealed-fields.ts';
import { createVault, keyId, type KeyRing, sealedWith, type Vault, type VaultPurpose } from './kernel/encryption.ts';
import { lazyExplainer, lazyPrices, lazyTokenTest } from './lazy-explainer.ts';
import { Exit, GatewayError } from './kernel/errors.ts';
import { operation } from './kernel/operation.ts';
import { answer, wire } from './kernel/wire.ts';
import { isDryRun, settingsOf } from './local-work.ts';
import type { Settings } from './config/load.ts';
import { keyRules } from './serve.ts';
import type { Runtime } from './runtime.ts';

interface Count {
  rows: number;
  opens: number;
}

/** What each key has, by its id. A text whose form is broken is under none. */
type Counts = Map<string, Count>;

interface Opened {
  readonly database: Database;
  readonly keys: KeyRing | undefined;
  /** Known where it is configured, or kept in the state directory. */
  readonly masterKey: string | undefined;
  readonly settings: Settings;
}

async function opened(context: LocalContext, runtime: Runtime, act: (all: Opened) => Promise<number>): Promise<number> {
  const settings = await settingsOf(context, runtime);
  await using database = await openDatabase({ ...settings, dbPoolSize: 2 }, 'gatewayctl-cli');
  requireCurrent(await database.status());
  const place = { stateDir: settings.stateDir, embedded: database.isEmbedded };
  const masterKey = database.isEmbedded ? resolveMasterKey(settings, place).secret : settings.masterKey;
  // Awaited here: the database is held until the work has ended.
  return await act({ database, masterKey, settings, keys: resolveKeyRing(settings, place) });
}

export function showCrypto(context: LocalContext, runtime: Runtime): Promise<number> {
  return opened(context, runtime, (all) => show(context, all));
}

async function show(context: LocalContext, { database, keys }: Opened): Promise<number> {
  const problems: string[] = [];
  const counts = await count(database, vaultsOf(keys), problems);
  const current = keys && keyId(keys.current);
  const shown = [...counts].map(([id, { rows, opens }]) => ({ key_id: id, rows, opens, is_present: id === current }));
  if (context.format === 'json') {
    context.io.out(`${JSON.stringify({ present_key_id: current ?? null, keys: shown, problems }, null, 2)}\n`);
  } else {
    for (const { key_id: id, rows, opens, is_present: isPresent } of shown) {
      context.io.out(
        `${id}\t${rows}\t${opens === rows ? 'opens' : `${rows - opens} do not open`}\t${isPresent ? 'present' : 'other'}\n`,
      );
    }
    for (const problem of problems.slice(0, problemsAtMost)) context.io.err(`${problem}\n`);
  }
  const isWhole = problems.length === 0 && shown.every(({ is_present: isPresent }) => isPresent);
  return isWhole ? Exit.ok : Exit.no;
}

/** As many as somebody reads. */
const problemsAtMost = 20;

async function count(database: Database, vaultFor: VaultFor, problems: string[]): Promise<Counts> {
  const counts: Counts = new Map();
  for await (const text of sealedTexts(database.pool)) {
    const id = sealedWith(text.sealed) ?? 'damaged';
    const counted = counts.get(id) ?? { rows: 0, opens: 0 };
    counts.set(id, counted);
    counted.rows++;
    if (attempt(text, problems, () => vaultFor(text.purpose).open(text.sealed, text.place)) !== undefined)
      counted.opens++;
  }
  return counts;
}

/** What does not open is told of and left as it is: it must not keep the others from being looked at. */
function attempt<T>({ place }: SealedText, problems: string[], act: () => T): T | undefined {
  try {
    return act();
  } catch (thrown) {
    if (!(thrown instanceof GatewayError)) throw thrown;
    problems.push(`${place.table}.${place.column} of ${place.row}: ${thrown.message}`);
    return undefined;
  }
}

type VaultFor = (purpose: VaultPurpose) => Vault;

function vaultsOf(keys: KeyRing | undefined): VaultFor {
  const vaults = new Map<VaultPurpose, Vault>();
  return (purpose) => {
    const vault = vaults.get(purpose) ?? createVault(keys, purpose);
    vaults.set(purpose, vault);
    return vault;
  };
}

/** Passes over the database: what daemons sealed with the old key meanwhile is found by the next. */
const passesAtMost = 10;

export function rotateCrypto(context: LocalContext, runtime: Runtime): Promise<number> {
  return opened(context, runtime, async ({ keys, ...rest }) => {
    const ring = ringTo(context, runtime, keys);
    if (rest.masterKey !== undefined) refuseMasterKey(ring, rest.masterKey);
    return rotate(context, runtime, { ...rest, ring });
  });
}

async function rotate(
  context: LocalContext,
  runtime: Runtime,
  { database, settings, ring }: Pick<Opened, 'database' | 'settings'> & { readonly ring: KeyRing },
): Promise<number> {
  const vaultFor = vaultsOf(ring);
  if (isDryRun(context)) return rehearse(context, database, ring);
  let problems: string[] = [];
  let total = 0;
  for (let pass = 0; pass < passesAtMost; pass++) {
    problems = [];
    const done = await rewrapAll(database, vaultFor, problems);
    total += done;
    if (done === 0) break;
  }
  const id = keyId(ring.current);
  if (total > 0) await record({ database, settings, runtime, ring }, { id, rows: total });
  for (const problem of problems.slice(0, problemsAtMost)) context.io.err(`${problem}\n`);
  context.io.err(`${total} secrets were put under key ${id}; ${problems.length} could not be.\n`);
  return problems.length === 0 ? Exit.ok : Exit.no;
}

/** What a rotation would find. */
async function rehearse(context: LocalContext, database: Database, ring: KeyRing): Promise<number> {
  const problems: string[] = [];
  const counts = await count(database, vaultsOf(ring), problems);
  const id = keyId(ring.current);
  const others = [...counts].filter(([each]) => each !== id);
  const opens = others.reduce((sum, [, each]) => sum + each.opens, 0);
  for (const problem of problems.slice(0, problemsAtMost)) context.io.err(`${problem}\n`);
  context.io.err(
    `Nothing was changed. It would be: ${opens} secrets put under key ${id}; ${problems.length} could not be.\n`,
  );
  return problems.length === 0 ? Exit.ok : Exit.no;
}

async function rewrapAll(database: Database, vaultFor: VaultFor, problems: string[]): Promise<number> {
  let done = 0;
  for await (const text of sealedTexts(database.pool)) {
    const anew = attempt(text, problems, () => vaultFor(text.purpose).rewrap(text.sealed, text.place));
    if (anew !== undefined && (await text.replace(anew))) done++;
  }
  return done;
}

/** The key to go to, and every key that may have to be opened with. */
function ringTo({ options }: LocalContext, { cwd }: Runtime, keys: KeyRing | undefined): KeyRing {
  const path = options['new-key-file'];
  if (typeof path !== 'string') {
    if (keys?.others?.length) return keys;
    throw new GatewayError('config', 'encryption_key_missing', 'There is one encryption key, and none to go to', {
      hint: 'Name the new one: --new-key-file <path>. One is made with: openssl rand -base64 32',
    });
  }
  const file = readSecretFile(resolve(cwd, path.replace(/^@/, '')));
  const current = 'text' in file ? key256.safeParse(file.text).data : undefined;
  if (current) return { current, others: keys ? [keys.current, ...(keys.others ?? [])] : [] };
  const problem = 'problem' in file ? file.problem : `${path} does not hold 32 bytes in base64 or hex`;
  throw new GatewayError('config', 'encryption_key_damaged', problem, {
    hint: 'Make one: openssl rand -base64 32 > encryption-key.new',
  });
}

/** No command and no route: the audit entry of a rotation, written as every other is. */
const recordRotation = operation({
  command: ['crypto', 'rotate'],
  route: ['POST', '/crypto/rotate'],
  summary: 'Keep that secrets were put under another key',
  input: wire({ id: z.string(), rows: z.int() }),
  output: answer({}),
  access: 'admin',
  run: async ({ audit }: Pick<Services, 'audit'>, { id, rows }) => {
    audit.record({ action: 'rotated', object: 'encryption_key', id, after: { key_id: id, rows } });
    return {};
  },
});

async function record(
  {
    database,
    settings,
    runtime,
    ring,
  }: Pick<Opened, 'database' | 'settings'> & { readonly runtime: Runtime; readonly ring: KeyRing },
  rotation: { readonly id: string; readonly rows: number },
): Promise<void> {
  const vault = createVault(undefined);
  const surroundings = { pool: database.pool, settings, vault, env: runtime.env };
  const app = new App({
    orm: database.orm,
    poolSize: database.poolSize,
    now: () => new Date(),
    vault,
    auditVault: createVault(ring, 'audit-mac'),
    callbackVault: vault,
    bodyVault: vault,
    callbacks: () => [],
    configured: [],
    passThroughs: [],
    prices: lazyPrices(settings),
    keyRules: keyRules(settings),
    userDefaults: settings.userSettings,
    explainer: lazyExplainer(surroundings),
    tokenTest: lazyTokenTest(surroundings),
    journal: () => undefined,
  });
  const actor = { type: 'operator', name: runtime.operator, via: 'cli-direct' } as const;
  await app.run(recordRotation, rotation, { actor });
}
