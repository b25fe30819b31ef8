import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { createVault, keyId } from '../../src/kernel/encryption.ts';
import { GatewayError } from '../../src/kernel/errors.ts';
import { refusal } from './support.ts';

const kek = Buffer.alloc(32, 1);
const place = { table: 'deployments', column: 'api_key', row: 'a|b' };

test('what was sealed opens in its place', () => {
  const vault = createVault(kek);
  for (const text of ['', 'sk-x', 'ключ \u{1F511}', 'x'.repeat(100_000)]) {
    const sealed = vault.seal(text, place);
    assert.match(sealed, new RegExp(`^gwenc:1:${keyId(kek)}:[\\w-]+:[\\w-]{16}:[\\w-]*:[\\w-]{22}$`));
    assert.equal(vault.open(sealed, place), text);
  }
});

test('the same text sealed twice looks different', () => {
  const vault = createVault(kek);
  assert.notEqual(vault.seal('x', place), vault.seal('x', place));
});

test('flipping any bit of a sealed text is an error, never garbage', () => {
  const vault = createVault(kek);
  const sealed = Buffer.from(vault.seal('sk-canary', place));
  for (let bit = 0; bit < sealed.length * 8; bit++) {
    const changed = Buffer.from(sealed);
    changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7));
    assert.throws(() => vault.open(changed.toString('latin1'), place), GatewayError, `bit ${bit}`);
  }
});

test('shortened, lengthened and foreign texts are errors', () => {
  const vault = createVault(kek);
  const sealed = vault.seal('sk-canary', place);
  for (let length = 0; length < sealed.length; length++)
    assert.throws(() => vault.open(sealed.slice(0, length), place), GatewayError);
  for (const text of [`${sealed}A`, `${sealed}\n`, ` ${sealed}`, 'sk-plain', sealed.replace(':1:', ':2:')])
    assert.throws(() => vault.open(text, place), GatewayError);
});

test('a sealed text opens in no other row, column or table, and with no other key or purpose', () => {
  const vault = createVault(kek);
  const sealed = vault.seal('sk-canary', place);
  for (const other of [{ table: 'x' }, { column: 'x' }, { row: 'x' }, { column: 'api_key|a', row: 'b' }]) {
    const error = refusal(() => vault.open(sealed, { ...place, ...other }));
    assert.equal(error.type, 'sealed_value_damaged');
    assert.doesNotMatch(error.message, /canary/);
  }
  const error = refusal(() => createVault(randomBytes(32)).open(sealed, place));
  assert.equal(error.type, 'encryption_key_mismatch');
  assert.equal(error.kind, 'config');
});

test('a vault without a key says so at its first use, and how to give one', () => {
  const vault = createVault(undefined);
  for (const act of [() => vault.seal('x', place), () => vault.open('x', place)]) {
    const error = refusal(act);
    assert.equal(error.kind, 'config');
    assert.match(error.hint ?? '', /GATEWAYCTL_ENCRYPTION_KEY_FILE/);
  }
});
