import { once } from 'node:events';
import { glob, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, relative, resolve } from 'node:path';
import { run } from 'node:test';
import { spec } from 'node:test/reporters';
import { fileURLToPath } from 'node:url';
import { globalSetup, globalTeardown } from '../test/support/template.ts';

/**
 * Runs every test file, or those that the arguments name.
 *
 * Loading the program takes a process a second of CPU time, more than most files then need. So files share processes,
 * one after the other, each as a suite with its own hooks. Those that take long have a process to themselves, begin
 * first, and wait for processes and time-outs while the others compute.
 */
const root = fileURLToPath(new URL('..', import.meta.url));

/** The longest first, those that wait among those that compute. */
const slow = [
  'test/chaos/kill.test.ts',
  'test/access/privileges.test.ts',
  'test/access/outage.test.ts',
  'test/contract/parity.test.ts',
  'test/access/revocation.test.ts',
  'test/db/embedded.test.ts',
  'test/secrets/canaries.test.ts',
  'test/package.test.ts',
  'test/daemon.test.ts',
  'test/crypto.test.ts',
  'test/proxy/recorded-streams.test.ts',
  'test/chaos/faults.test.ts',
  'test/contract/random-commands.test.ts',
  'test/chaos/redis-faults.test.ts',
  'test/dry-run.test.ts',
];

/** Processes that the other files share. */
const shares = 9;

const testMs = 120_000;
const fileMs = 300_000;

async function filesNamed(patterns: readonly string[]): Promise<string[]> {
  const found = new Set<string>();
  for await (const path of glob(patterns, { cwd: root })) found.add(path);
  return [...found].toSorted();
}

/** Such a module cannot be loaded inside a suite, which is made in one go. */
const awaitsAtTop = async (file: string): Promise<boolean> =>
  /^(?:const .*= )?await /m.test(await readFile(join(root, file), 'utf8'));

const rankOf = (file: string): number => (slow.includes(file) ? slow.indexOf(file) : slow.length);

/** A program that runs files one after the other. */
const sharing = (files: readonly string[]): string => `
import { createRequire } from 'node:module';
import { describe } from 'node:test';
const require = createRequire(${JSON.stringify(join(root, 'package.json'))});
for (const file of ${JSON.stringify(files)}) describe(file, { timeout: ${fileMs} }, () => void require('./' + file));
`;

const args = process.argv.slice(2).map((path) => relative(root, resolve(path)));
const files = await filesNamed(args.length > 0 ? args : ['test/**/*.test.ts']);
const isAlone = await Promise.all(files.map(async (file) => slow.includes(file) || (await awaitsAtTop(file))));
const alone = files.filter((_, index) => isAlone[index]).toSorted((a, b) => rankOf(a) - rankOf(b));
const others = files.filter((_, index) => !isAlone[index]);
const directory = await mkdtemp(join(tmpdir(), 'gatewayctl-tests-'));
const shared = await Promise.all(
  Array.from({ length: shares }, async (_, share) => {
    const mine = others.filter((file) => others.indexOf(file) % shares === share);
    if (mine.length === 0) return [];
    const path = join(directory, `share-${share + 1}.mjs`);
    await writeFile(path, sharing(mine));
    return [path];
  }),
);
await globalSetup();
const stream = run({
  files: [...alone.map((file) => join(root, file)), ...shared.flat()],
  // Two cores stay busy: some of them always wait for a process or a time-out.
  concurrency: 4,
  timeout: testMs,
});
stream.on('test:fail', () => void (process.exitCode = 1));
stream.compose(spec).pipe(process.stdout);
await once(stream, 'end');
await globalTeardown();
await rm(directory, { recursive: true, force: true });
