import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { env } from 'node:process';
import { sourceDate } from '../src/docs/documents.ts';
import { documents } from '../test/support/documents.ts';

/** Directories that hold nothing but what is written here, so that the page of a command that is gone goes too. */
const ours = ['completions', 'man'];

const root = new URL('../', import.meta.url);
const epoch = env['SOURCE_DATE_EPOCH'];
const texts = documents(epoch ? sourceDate(epoch, '') : undefined);

for (const directory of ours) {
  await mkdir(new URL(directory, root), { recursive: true });
  for (const file of await readdir(new URL(directory, root))) {
    if (!texts.has(`${directory}/${file}`)) await rm(new URL(`${directory}/${file}`, root));
  }
}
for (const [path, text] of texts) await writeFile(new URL(path, root), text);

// npm links the pages of a global installation only where they are listed by name: a directory does for its registry alone.
const manifest = new URL('package.json', root);
const man = [...texts.keys()].filter((path) => path.startsWith('man/')).toSorted();
const parsed: unknown = JSON.parse(await readFile(manifest, 'utf8'));
await writeFile(manifest, `${JSON.stringify({ ...(parsed as object), man }, undefined, 2)}\n`);
