import { z } from 'zod';
import { ifThere } from '../kernel/existing.ts';
import { label, text } from '../kernel/fields.ts';
import { type CommandLine, operation } from '../kernel/operation.ts';
import { pageFields } from '../kernel/page.ts';
import { answer, wire } from '../kernel/wire.ts';
import { credentialComparisons } from './credential.compare.ts';
import type { CredentialService } from './credential.service.ts';
import {
  credentialChanges,
  credentialInfo,
  type CredentialWithUse,
  describeCredential,
  newCredentialFields,
} from './credential.wire.ts';

interface Needs {
  credentials: CredentialService;
}

const reference = label.describe('The credential');

const shown: Partial<CommandLine> = {
  columns: ['credential_name', 'provider', 'used_by', 'updated_at'],
  wide: ['credential_values', 'fingerprints', 'credential_info'],
  headings: {
    credential_name: 'NAME',
    used_by: 'USED-BY',
    updated_at: 'UPDATED',
    credential_values: 'VALUES',
    credential_info: 'INFO',
  },
  id: 'credential_name',
};

const flags: CommandLine['flags'] = {
  credential_values: { name: 'values', placeholder: '@file|-', isSecret: true },
  credential_info: 'info',
};

/** LiteLLM's answer to a change, with what it leaves out. */
const change = {
  success: z.boolean().describe('True: what went wrong is an error instead'),
  message: z.string().describe('What was done'),
  credential: answer(credentialInfo).describe('The credential'),
};

const changeOf = (message: string, credential: CredentialWithUse) => ({
  success: true,
  message,
  credential: describeCredential(credential),
});

const nameOf = ({ credential }: Record<string, unknown>): string =>
  text(z.object({ credential_name: z.string() }).catch({ credential_name: '' }).parse(credential).credential_name);

export const createCredential = operation({
  command: ['credential', 'create'],
  aliases: ['new', 'add'],
  route: ['POST', '/credentials'],
  summary: 'Keep a key of a provider for several models',
  description: 'Values are stored encrypted and never shown again. A model takes those it does not have itself.',
  input: wire(newCredentialFields),
  output: answer(change),
  unserved: ['model_id'],
  access: 'admin',
  existing: {
    names: ['credential_name'],
    find: async ({ credentials }: Needs, { credentialName }) => {
      const credential = await ifThere(credentials.get(credentialName));
      return credential && changeOf('Credential is there already', credential);
    },
    compare: credentialComparisons,
  },
  cli: {
    ...shown,
    args: ['credential_name'],
    flags,
    values: 'credential_values',
    result: 'credential',
    done: (answered) => `Credential ${nameOf(answered)} created`,
    examples: [
      ['From a file', 'gatewayctl credential create openai --value-file api_key=/run/secrets/openai'],
      ['From a variable', 'gatewayctl credential create openai --value-env api_key=OPENAI_API_KEY'],
      ['From standard input', 'gatewayctl credential create openai --value-stdin api_key'],
    ],
  },
  run: async ({ credentials }: Needs, input) =>
    changeOf('Credential created successfully', await credentials.create(input)),
});

export const listCredentials = operation({
  command: ['credential', 'list'],
  aliases: ['ls'],
  route: ['GET', '/credentials'],
  summary: 'List credentials, without their values',
  input: wire(pageFields({ default: 100, max: 1_000 })),
  output: answer({
    success: z.boolean().describe('True: what went wrong is an error instead'),
    credentials: z.array(answer(credentialInfo)).describe('The credentials'),
    totalCount: z.int().describe('How many there are on all pages'),
  }),
  access: 'admin',
  cli: {
    ...shown,
    result: 'credentials',
    pages: { page: 'page', size: 'size', total: 'total_count' },
    flags: { size: 'limit' },
    examples: [['All of them', 'gatewayctl credential list']],
  },
  run: async ({ credentials }: Needs, page) => {
    const { credentials: found, total } = await credentials.list(page);
    return { success: true, credentials: found.map(describeCredential), totalCount: total };
  },
});

export const getCredential = operation({
  command: ['credential', 'get'],
  aliases: ['info', 'show'],
  route: ['GET', '/credentials/by_name/:credential_name'],
  summary: 'Show a credential, without its values',
  input: wire({ credentialName: reference }),
  output: answer(credentialInfo),
  access: 'admin',
  cli: {
    ...shown,
    args: ['credential_name'],
    completes: { credential_name: 'credential' },
    examples: [['By its name', 'gatewayctl credential get openai']],
  },
  run: async ({ credentials }: Needs, { credentialName }) => describeCredential(await credentials.get(credentialName)),
});

export const getCredentialOfModel = operation({
  command: ['credential', 'get-by-model'],
  route: ['GET', '/credentials/by_model/:model_id'],
  summary: 'Show the credential a deployment uses',
  input: wire({ modelId: label.describe('The deployment, by id') }),
  output: answer(credentialInfo),
  access: 'admin',
  run: async ({ credentials }: Needs, { modelId }) => describeCredential(await credentials.ofModel(modelId)),
});

export const updateCredential = operation({
  command: ['credential', 'update'],
  route: ['PATCH', '/credentials/:credential_name'],
  summary: 'Change values of a credential',
  description: 'What is not named stays as it is. Daemons call with the new values within a second.',
  input: wire({ credentialName: reference, ...credentialChanges }),
  output: answer(change),
  access: 'admin',
  cli: {
    ...shown,
    args: ['credential_name'],
    completes: { credential_name: 'credential' },
    flags,
    values: 'credential_values',
    result: 'credential',
    done: (answered) => `Credential ${nameOf(answered)} updated`,
    examples: [['A new key', 'gatewayctl credential update openai --value-file api_key=/run/secrets/openai']],
  },
  run: async ({ credentials }: Needs, { credentialName, ...changes }) =>
    changeOf('Credential updated successfully', await credentials.update(credentialName, changes)),
});

export const deleteCredential = operation({
  command: ['credential', 'delete'],
  aliases: ['rm'],
  route: ['DELETE', '/credentials/:credential_name'],
  summary: 'Delete a credential that no model uses',
  input: wire({ credentialName: reference }),
  output: answer(change),
  access: 'admin',
  cli: {
    ...shown,
    args: ['credential_name'],
    completes: { credential_name: 'credential' },
    result: 'credential',
    confirm: 'moderate',
    atStake: { look: 'credential get', field: 'credential_name' },
    done: (answered) => `Credential ${nameOf(answered)} deleted`,
    examples: [['In a script', 'gatewayctl credential delete openai --yes']],
  },
  run: async ({ credentials }: Needs, { credentialName }) =>
    changeOf('Credential deleted successfully', await credentials.delete(credentialName)),
});

export const credentialOperations = [
  createCredential,
  listCredentials,
  getCredential,
  getCredentialOfModel,
  updateCredential,
  deleteCredential,
] as const;
