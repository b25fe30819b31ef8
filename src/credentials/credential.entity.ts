import { defineEntity, p } from '@mikro-orm/core';

/** A value as it is kept: sealed for its place (see kernel/encryption.ts), or a reference such as `os.environ/NAME`. */
export interface KeptValue {
  readonly sealed: string;
  /** What may be shown of it: its last characters, or the reference. */
  readonly shown: string;
  /** Whether two values are the same; null of a reference. */
  readonly fingerprint: string | null;
}

const CredentialSchema = defineEntity({
  name: 'Credential',
  tableName: 'credentials',
  properties: {
    id: p.text().primary(),
    name: p.text(),
    credentialValues: p.json<Record<string, KeptValue>>(),
    info: p.json<Record<string, unknown>>(),
    createdAt: p.datetime(),
    createdBy: p.text(),
    updatedAt: p.datetime(),
    updatedBy: p.text(),
  },
});

/** What a provider wants to see, shared by the models that name it. */
export class Credential extends CredentialSchema.class {}
CredentialSchema.setClass(Credential);
