import assert from 'node:assert/strict';
import { readdir, readFile } from 'node:fs/promises';
import { describe, test } from 'node:test';
import { Validator } from '@seriousme/openapi-schema-validator';
import { documents } from '../support/documents.ts';

const root = new URL('../../', import.meta.url);
const texts = documents();

describe('what is generated and committed', () => {
  test('is what `npm run generate` makes of the program as it is', async () => {
    for (const [path, text] of texts) {
      const committed = await readFile(new URL(path, root), 'utf8').catch(() => '');
      assert.ok(committed === text, `${path} is out of date: npm run generate`);
    }
  });

  test('has no page or script of something that is gone', async () => {
    for (const directory of ['completions', 'man']) {
      const files = await readdir(new URL(directory, root));
      const stale = files.filter((file) => !texts.has(`${directory}/${file}`));
      assert.deepEqual(stale, [], 'npm run generate removes them');
    }
  });

  test('describes the admin API in valid OpenAPI 3.1', async () => {
    const { valid, errors } = await new Validator().validate(JSON.parse(texts.get('openapi.json') ?? ''));
    assert.ok(valid, JSON.stringify(errors, undefined, 2));
  });

  test('refers to nothing that the OpenAPI document does not hold', () => {
    const document = JSON.parse(texts.get('openapi.json') ?? '');
    for (const [, path = ''] of (texts.get('openapi.json') ?? '').matchAll(/"\$ref": "#\/([^"]+)"/g)) {
      const target = path.split('/').reduce((part, name) => part?.[name], document);
      assert.ok(target, `#/${path} is missing`);
    }
  });

  test('refers to no manual page that is not there', () => {
    for (const [path, text] of texts) {
      for (const [, page = '', chapter = ''] of text.matchAll(/\\%\\fB(\S+)\\fR\((\d)\)/g)) {
        const file = `man/${page.replaceAll(String.raw`\-`, '-')}.${chapter}`;
        assert.ok(texts.has(file), `${path} refers to ${file}`);
      }
    }
  });
});
