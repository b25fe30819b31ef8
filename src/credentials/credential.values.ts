import type { SealedPlace, Vault } from '../kernel/encryption.ts';
import { environmentName } from '../models/deployment.ts';
import type { KeptValue } from './credential.entity.ts';

/** A value of fewer characters would be told too much of by four of them. */
const leastForTail = 12;

/** A secret as it is kept: sealed for its place, or as the reference that it is. */
export function keepValue(vault: Vault, value: string, place: SealedPlace): KeptValue {
  if (environmentName(value) !== undefined) return { sealed: value, shown: value, fingerprint: null };
  return {
    sealed: vault.seal(value, place),
    shown: value.length < leastForTail ? '…' : `…${value.slice(-4)}`,
    fingerprint: vault.fingerprint(value),
  };
}
