import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { refuseMasterKey } from '../../src/config/encryption-key.ts';
import { createVault, keyId, sealedWith } from '../../src/kernel/encryption.ts';
import { GatewayError } from '../../src/kernel/errors.ts';
import { refusal } from './support.ts';

const kek = Buffer.alloc(32, 1);
const place = { table: 'deployments', column: 'api_key', row: 'a|b' };

test('what was sealed opens in its place', () => {
  const vault = createVault(kek);
  for (const text of ['', 'sk-x', 'ключ \u{1F511}', 'x'.repeat(100_000)]) {
    const sealed = vault.seal(text, place);
    assert.match(sealed, new RegExp(`^gwenc:2:${keyId(kek)}:[\\w-]+:[\\w-]{16}:[\\w-]*:[\\w-]{22}$`));
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
  for (const text of [
    `${sealed}A`,
    `${sealed}\n`,
    ` ${sealed}`,
    'sk-plain',
    sealed.replace(':2:', ':1:'),
    sealed.replace(':2:', ':3:'),
  ])
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

test('a second key opens and does not seal, so that one can take the place of the other', () => {
  const later = Buffer.alloc(32, 2);
  const sealed = createVault(kek).seal('sk-canary', place);
  const both = createVault({ current: later, others: [kek] });
  assert.equal(both.open(sealed, place), 'sk-canary');
  assert.equal(sealedWith(both.seal('x', place)), keyId(later));
  assert.equal(refusal(() => createVault(later).open(sealed, place)).type, 'encryption_key_mismatch');
});

test('wrapping a data key anew leaves what it encrypts as it is', () => {
  const later = Buffer.alloc(32, 2);
  const sealed = createVault(kek).seal('sk-canary', place);
  const both = createVault({ current: later, others: [kek] });
  const anew = both.rewrap(sealed, place);
  assert.ok(anew !== undefined);
  assert.deepEqual(anew.split(':').slice(4), sealed.split(':').slice(4));
  assert.equal(createVault(later).open(anew, place), 'sk-canary');
  assert.equal(both.rewrap(anew, place), undefined, 'once is enough');
  // The content is bound to its place, and the data key to the key that wraps it: neither can be put elsewhere.
  assert.equal(refusal(() => both.rewrap(sealed, { ...place, row: 'c' })).type, 'sealed_value_damaged');
  const relabelled = sealed.replace(keyId(kek), keyId(later));
  assert.equal(refusal(() => both.open(relabelled, place)).type, 'sealed_value_damaged');
});

test('a text of format 1 still opens, and becomes one of format 2 when the key changes', () => {
  const old =
    'gwenc:1:9fd3deea:WLg8njoIz3r_6Lkca7OnXzwdS1FywkvqsYNNQRymft-gCPifeKlRxm0qBKcaDycFUtvLfEHjuW1B6T7T:x0Go6PA6sZuZrxlf:fMPMyLriehIcMtWeTTs1orZayyCY:pQvEbbf_jaDaCC3OVdSCLQ';
  assert.equal(createVault(kek).open(old, place), 'sk-canary of format 1');
  assert.throws(() => createVault(kek).open(old, { ...place, row: 'c' }), GatewayError);
  const later = Buffer.alloc(32, 2);
  const anew = createVault({ current: later, others: [kek] }).rewrap(old, place) ?? '';
  assert.match(anew, /^gwenc:2:/);
  assert.equal(createVault(later).open(anew, place), 'sk-canary of format 1');
});

test('a fingerprint tells whether two texts are the same, to whoever has the key', () => {
  const vault = createVault(kek);
  assert.equal(vault.fingerprint('sk-canary'), vault.fingerprint('sk-canary'));
  assert.notEqual(vault.fingerprint('sk-canary'), vault.fingerprint('sk-other'));
  assert.notEqual(vault.fingerprint('sk-canary'), createVault(Buffer.alloc(32, 2)).fingerprint('sk-canary'));
});

test('an encryption key that is the master key is refused, in whichever form', () => {
  const hex = kek.toString('hex');
  const bytes = Buffer.from('sk-0123456789-0123456789-0123456');
  for (const [key, masterKey] of [
    [kek, `sk-${hex}`],
    [kek, `sk-${kek.toString('base64')}`],
    [bytes, bytes.toString()],
    [Buffer.from(bytes.toString().slice(3).padEnd(32, 'x')), `sk-${bytes.toString().slice(3).padEnd(32, 'x')}`],
  ] as const) {
    assert.equal(refusal(() => refuseMasterKey({ current: key }, masterKey)).type, 'encryption_key_is_master_key');
    const other = { current: randomBytes(32), others: [key] };
    assert.equal(refusal(() => refuseMasterKey(other, masterKey)).kind, 'config');
  }
  refuseMasterKey({ current: kek }, `sk-${randomBytes(32).toString('hex')}`);
});

test('a vault without a key says so at its first use, and how to give one', () => {
  const vault = createVault(undefined);
  for (const act of [() => vault.seal('x', place), () => vault.open('x', place)]) {
    const error = refusal(act);
    assert.equal(error.kind, 'config');
    assert.match(error.hint ?? '', /GATEWAYCTL_ENCRYPTION_KEY_FILE/);
  }
});
