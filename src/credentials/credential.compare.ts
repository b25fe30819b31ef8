import { type Comparison, isSameValue } from '../kernel/existing.ts';
import type { CredentialService } from './credential.service.ts';

interface Needs {
  credentials: CredentialService;
}

const membersOf = (value: unknown): Readonly<Record<string, unknown>> => Object(value);

/** Fields of a wanted credential. Of a value is said that it differs, and no more. */
export const credentialComparisons: Readonly<Record<string, Comparison<Needs>>> = {
  credential_name: () => [],
  credential_values: async ({ field, wanted, found, services: { credentials } }) => {
    const name = String(membersOf(found['credential'])['credential_name']);
    const differing = await credentials.differing(name, membersOf(wanted));
    return differing.map((value) => ({ field: `${field}.${value}` }));
  },
  credential_info: ({ field, wanted, found }) => {
    const is = membersOf(found['credential'])['credential_info'];
    return isSameValue(wanted, is) ? [] : [{ field, wanted, is }];
  },
};
