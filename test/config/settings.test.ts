import assert from 'node:assert/strict';
import { test } from 'node:test';
import { describeSettings, settingNames, settings, settingOf } from '../../src/config/settings.ts';

test('every setting has a description, a variable of ours first, a place in the file and a sentence of what it takes', () => {
  for (const row of describeSettings()) {
    assert.match(row.description, /^[A-Z].{15,}[^.]$/, row.name);
    assert.ok(
      row.env.every((name) => /^[A-Z][A-Z_]+$/.test(name)),
      row.name,
    );
    assert.match(row.env[0] ?? '', /^GATEWAYCTL_/, row.name);
    assert.match(row.file[0] ?? '', /^gatewayctl\./, row.name);
    assert.ok(row.takes.length > 5, row.name);
    assert.equal(row.credential !== undefined, row.isSecret, row.name);
  }
});

test('every default is a value of its setting', () => {
  for (const name of settingNames) {
    const { default: fallback, type } = settingOf(name);
    if (typeof fallback === 'string') assert.ok(type.safeParse(fallback).success, name);
  }
});

test('no variable, flag or place belongs to two settings', () => {
  const rows = describeSettings();
  for (const names of [
    rows.flatMap((row) => row.env),
    rows.flatMap((row) => row.flag ?? []),
    rows.flatMap((row) => row.file),
  ])
    assert.deepEqual(
      names.filter((name, index) => names.indexOf(name) !== index),
      [],
    );
});

test('a secret can come from a file, and its flag takes no value of its own', () => {
  const row = describeSettings().find(({ name }) => name === 'masterKey');
  assert.deepEqual(row, {
    name: 'masterKey',
    description: settings.masterKey.description,
    takes: 'a text',
    default: '',
    env: ['GATEWAYCTL_MASTER_KEY_FILE', 'GATEWAYCTL_MASTER_KEY', 'LITELLM_MASTER_KEY_FILE', 'LITELLM_MASTER_KEY'],
    flag: '--master-key-file',
    file: ['gatewayctl.master_key', 'general_settings.master_key'],
    credential: 'master-key',
    isSecret: true,
  });
});
