import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import type { KeyRing } from '../kernel/encryption.ts';
import { GatewayError } from '../kernel/errors.ts';
import { keepSecret } from './secret-file.ts';
import type { SettingValues } from './settings.ts';
import { key256 } from './values.ts';

export interface EncryptionKey {
  readonly key: Buffer;
  readonly origin: 'configured' | 'generated' | 'kept';
  readonly path?: string;
}

/**
 * The key-encryption key for provider credentials in the database. It has nothing to do with the master key: where the
 * one is derived from the other, changing the master key destroys every credential.
 *
 * @returns undefined with a database of the operator's and no key: `createVault` then says so at the first use
 */
export function resolveEncryptionKey(
  { encryptionKey }: Pick<SettingValues, 'encryptionKey'>,
  { stateDir, embedded }: { stateDir: string; embedded: boolean },
): EncryptionKey | undefined {
  if (encryptionKey) return { key: encryptionKey, origin: 'configured' };
  if (!embedded) return undefined;
  const path = join(stateDir, 'encryption-key');
  const { text, origin } = keepSecret(path, () => randomBytes(32).toString('base64'));
  const { data: key } = key256.safeParse(text);
  if (key) return { key, origin, path };
  throw new GatewayError('config', 'encryption_key_damaged', `${path} does not hold 32 bytes in base64 or hex`, {
    hint: 'Restore it from a backup: without it the provider credentials in the database cannot be read.',
  });
}

/** Both keys, as a vault takes them. */
export function resolveKeyRing(
  settings: Pick<SettingValues, 'encryptionKey' | 'encryptionKeyPrevious'>,
  place: { stateDir: string; embedded: boolean },
): KeyRing | undefined {
  const current = resolveEncryptionKey(settings, place)?.key;
  const other = settings.encryptionKeyPrevious;
  if (current || !other) return current && { current, others: other ? [other] : [] };
  throw new GatewayError('config', 'encryption_key_missing', 'There is a previous encryption key and no present one', {
    hint: 'Give the key that credentials are to be encrypted with as encryption_key.',
  });
}

/**
 * Refuses an encryption key that is the master key: everybody who may administer could then open every credential, and
 * a new master key would close them all.
 */
export function refuseMasterKey({ current, others = [] }: KeyRing, masterKey: string): void {
  const texts = [masterKey, masterKey.replace(/^sk-/, '')];
  const forms = texts.flatMap((text) => [key256.safeParse(text).data ?? [], Buffer.from(text, 'utf8')].flat());
  if (![current, ...others].some((key) => forms.some((form) => key.equals(form)))) return;
  throw new GatewayError('config', 'encryption_key_is_master_key', 'The encryption key is the master key', {
    hint: 'Make another: openssl rand -base64 32',
  });
}
