import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { posix } from 'node:path';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const src = fileURLToPath(new URL('../../src/', import.meta.url));
const files = readdirSync(src, { recursive: true, encoding: 'utf8' })
  .map((path) => path.replaceAll('\\', '/'))
  .filter((path) => path.endsWith('.ts'))
  .toSorted();

interface Import {
  readonly from: string;
  /** A file below src, `node`, or the name of a package. */
  readonly to: string;
}

const everyName = (names: string, holds: (name: string) => boolean) =>
  names
    .replaceAll(/[{}]/g, '')
    .split(',')
    .map((name) => name.trim())
    .filter(Boolean)
    .every(holds);

/** What a file loads when it runs: types are gone by then. A dynamic import counts, since it only moves the moment. */
function importsOf(from: string): Import[] {
  const text = readFileSync(src + from, 'utf8');
  const specifiers: string[] = [];
  for (const [, names = '', specifier = ''] of text.matchAll(
    /^(?:import|export)\s+(?!type\s)([^;'"]*?)\s*from\s+'([^']+)'/gm,
  )) {
    const isTypes = /^\{[^}]+\}$/s.test(names) && everyName(names, (name) => name.startsWith('type '));
    if (!isTypes) specifiers.push(specifier);
  }
  for (const [, specifier = ''] of text.matchAll(/^import\s+'([^']+)'/gm)) specifiers.push(specifier);
  for (const [, specifier = ''] of text.matchAll(/(?<!typeof\s)\bimport\('([^']+)'\)/g)) specifiers.push(specifier);
  return specifiers.map((specifier) => {
    if (specifier.startsWith('node:')) return { from, to: 'node' };
    if (specifier.startsWith('.')) return { from, to: posix.join(posix.dirname(from), specifier) };
    return { from, to: specifier.startsWith('@') ? specifier.split('/', 2).join('/') : specifier.split('/')[0]! };
  });
}

const imports = files.flatMap(importsOf);
const roomOf = (path: string): string => (path.includes('/') ? path.slice(0, path.indexOf('/')) : '');

/** Each noun stands on those before it. */
const nouns = [
  'audit',
  'budgets',
  'customers',
  'tags',
  'organizations',
  'users',
  'invitations',
  'teams',
  'keys',
  'mappings',
  'spend',
];
/** Those that stand on others than these, or on fewer. */
const beside: Readonly<Record<string, readonly string[]>> = {
  models: ['audit'],
  credentials: ['audit', 'models'],
  passthroughs: ['audit', 'models', 'credentials'],
};
const toTheLeft = (noun: string): string[] => nouns.slice(0, nouns.indexOf(noun));

/** Whether a file of ours may load another of ours from a different room. */
const arrows: Readonly<Record<string, (to: string, from: string) => boolean>> = {
  kernel: () => false,
  config: (to) => roomOf(to) === 'kernel' || to === 'models/deployment.ts' || to === 'routing/routing-settings.ts',
  db: (to) => roomOf(to) === 'kernel',
  ...Object.fromEntries(
    [...nouns, 'models', 'credentials', 'passthroughs'].map((noun) => [
      noun,
      (to: string, from: string) =>
        ['kernel', 'db'].includes(roomOf(to)) ||
        (beside[noun] ?? toTheLeft(noun)).includes(roomOf(to)) ||
        // An answer may show objects of another noun: a team with its keys.
        (/\.(operations|answers)\.ts$/.test(from) && to.endsWith('.wire.ts')),
    ]),
  ),
  egress: (to) => roomOf(to) === 'kernel',
  idempotency: (to) => ['kernel', 'db'].includes(roomOf(to)),
  access: (to) => ['kernel', 'db'].includes(roomOf(to)) || to.endsWith('.queries.ts'),
  jwt: (to) => ['kernel', 'egress', 'db', 'access'].includes(roomOf(to)) || to.endsWith('.queries.ts'),
  metering: (to) => ['kernel', 'db', 'access'].includes(roomOf(to)) || to.endsWith('.queries.ts'),
  routing: (to) => roomOf(to) === 'kernel' || to === 'metering/sliding-count.ts',
  proxy: (to) =>
    ['kernel', 'egress', 'metering', 'access', 'routing', 'response-cache'].includes(roomOf(to)) ||
    to === 'models/deployment.ts',
  'response-cache': (to) => ['kernel', 'db', 'access', 'metering'].includes(roomOf(to)),
  passthrough: (to) => ['kernel', 'metering', 'access', 'proxy'].includes(roomOf(to)) || to === 'models/deployment.ts',
  translation: (to) =>
    ['kernel', 'metering', 'proxy'].includes(roomOf(to)) ||
    ['models/deployment.ts', 'passthrough/google-token.ts', 'passthrough/usage-scanner.ts'].includes(to),
  callbacks: (to) =>
    ['kernel', 'db', 'egress', 'audit', 'credentials'].includes(roomOf(to)) || to === 'metering/usage.ts',
  live: (to) => ['kernel', 'metering', 'proxy'].includes(roomOf(to)),
  alerts: (to) => ['kernel', 'db', 'egress'].includes(roomOf(to)),
  explain: (to) => ['kernel', 'access', 'metering', 'proxy'].includes(roomOf(to)) || to.endsWith('.queries.ts'),
  daemon: (to) => roomOf(to) === 'kernel' || to === 'operations.ts',
  cli: (to) => ['kernel', 'docs'].includes(roomOf(to)) || to === 'operations.ts',
  docs: (to) => roomOf(to) === 'kernel' || to === 'operations.ts',
};

describe('the arrows between rooms', () => {
  test('every folder has its arrows written down', () => {
    const rooms = new Set(files.map(roomOf).filter(Boolean));
    assert.deepEqual(
      [...rooms].filter((room) => !(room in arrows)),
      [],
    );
  });

  test('are followed by every import', () => {
    const strays = imports
      .filter(({ from, to }) => roomOf(from) !== '' && to.endsWith('.ts') && roomOf(from) !== roomOf(to))
      .filter(({ from, to }) => !arrows[roomOf(from)]?.(to, from))
      .map(({ from, to }) => `${from} -> ${to}`);
    assert.deepEqual(strays, []);
  });

  test('the kernel stands on zod and Node alone', () => {
    const packages = imports.filter(({ from, to }) => roomOf(from) === 'kernel' && !to.endsWith('.ts'));
    assert.deepEqual(
      packages.filter(({ to }) => to !== 'zod' && to !== 'node'),
      [],
    );
  });

  test('the ways in load no ORM, and the data plane neither', () => {
    const heavy = imports.filter(
      ({ from, to }) => ['cli', 'docs', 'daemon', 'proxy'].includes(roomOf(from)) && /^(@mikro-orm\/|pg$)/.test(to),
    );
    assert.deepEqual(heavy, []);
  });

  test('the list of operations stands on the operations of the features alone', () => {
    const others = imports.filter(({ from, to }) => from === 'operations.ts' && !to.endsWith('.operations.ts'));
    assert.deepEqual(others, []);
  });

  test('one room makes all connections to what is outside (SEC-61, PYSEC-2026-4069, CVE-2026-108719)', () => {
    const clients = imports.filter(({ from, to }) => to === 'undici' && roomOf(from) !== 'egress');
    // The errors that its sockets end with are told apart there.
    assert.deepEqual(
      clients.map(({ from }) => from),
      ['proxy/failures.ts'],
    );
    const dials = [
      /(?<![.\w])fetch\(|\bnew (?:WebSocket|EventSource)\(|\bgetBuiltinModule\(|'node:(?:http2|dgram)'/,
      /\bimport \{[^}]*\b(?:request|get|connect|createConnection|Socket)\b[^}]*\} from 'node:(?:https?|net|tls)'/,
    ];
    const dialling = files.filter((file) => dials.some((dial) => dial.test(readFileSync(src + file, 'utf8'))));
    // The command line, which dials the daemon, and what dials the operator's database.
    assert.deepEqual(dialling, ['cli/connect.ts', 'cli/invoke.ts', 'db/embedded-session.ts', 'db/reachability.ts']);
  });

  test('only main touches process', () => {
    const touching = files.filter((file) => {
      const code = readFileSync(src + file, 'utf8').replaceAll(/^\s*(?:\/\/|\/?\*).*$/gm, '');
      // main hands it over; io.ts turns it into what commands know of the world.
      return (
        !['main.ts', 'cli/io.ts'].includes(file) && /\bprocess\.(?:argv|exit|exitCode|on|once|std\w+)\b/.test(code)
      );
    });
    assert.deepEqual(touching, []);
  });
});

/** Every module that a program loads, as URLs. */
async function loadedBy(module: string): Promise<string[]> {
  const program = `
    import { registerHooks } from 'node:module';
    const urls = new Set();
    registerHooks({ resolve(specifier, context, next) {
      const found = next(specifier, context);
      urls.add(found.url);
      return found;
    } });
    await import(${JSON.stringify(new URL(module, `file://${src}`).href)});
    process.stdout.write(JSON.stringify([...urls]));`;
  const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '--eval', program]);
  return JSON.parse(stdout);
}

/** Read from what never changes, or what keeps names of one process apart. */
const ofTheProcess = new Set([
  'cli/version.ts',
  'keys/key.fields.ts',
  'metering/estimate.ts',
  'metering/spend-row.ts',
  'proxy/request-id.ts',
]);

test('no module keeps anything of a gateway: two of them in one process know nothing of each other', () => {
  const keeping = files.filter((file) =>
    /^(?:export )?(?:let |const \w+ = new (?:Map|Set|WeakRef|EventEmitter)(?:<.*>)?\(\)|const \w+.* = \(\(\) => \{$)/m.test(
      readFileSync(src + file, 'utf8'),
    ),
  );
  assert.deepEqual(new Set(keeping), ofTheProcess);
});

test('importing the operations loads neither the ORM nor a web server, Redis or PostgreSQL client', async () => {
  const urls = await loadedBy('operations.ts');
  assert.ok(
    urls.some((url) => url.endsWith('/keys/key.operations.ts')),
    'the modules were recorded',
  );
  const packages = new Set(urls.map((url) => /\/node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(url)?.[1]).filter(Boolean));
  assert.deepEqual([...packages], ['zod']);
});

test('a command line loads no ORM, web server, Redis or PostgreSQL client before it knows its way', async () => {
  const urls = await loadedBy('main.ts');
  const heavy = urls.filter((url) =>
    /\/node_modules\/(@mikro-orm|koa|@koa|@keyv|keyv|pg|redis|undici|pino)\//.test(url),
  );
  assert.deepEqual(heavy, []);
});
