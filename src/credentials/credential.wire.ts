import { z } from 'zod';
import { label, metadata, stampInfo } from '../kernel/fields.ts';
import { answer } from '../kernel/wire.ts';
import { namesOwnVariable, ownVariableMessage } from '../kernel/own-variables.ts';
import { reachOfHost } from '../kernel/reach.ts';
import { environmentName } from '../models/deployment.ts';
import type { Credential } from './credential.entity.ts';

const secret = z
  .string()
  .min(1, 'must not be empty')
  .max(16_384)
  .refine((value) => !namesOwnVariable(value), ownVariableMessage);
const isMetadata = (value: string): boolean =>
  URL.canParse(value) && reachOfHost(new URL(value).hostname) === 'forbidden';
const address = secret
  .refine(
    (value) => environmentName(value) !== undefined || /^https?:\/\/[^\s?#@]+$/.test(value),
    'must be an http:// or https:// URL without a query or a password',
  )
  .refine((value) => !isMetadata(value), 'is an address that is never called: clouds have credentials there');

/** What a model takes from its credential; LiteLLM has more, of providers that are not served. */
const valuesShape = {
  api_key: secret.describe('Key for the upstream'),
  api_base: address.describe('Where the upstream is'),
  aws_access_key_id: secret.describe('Of a key of AWS, for bedrock'),
  aws_secret_access_key: secret.describe('Of the same'),
  aws_session_token: secret.describe('Of a key of AWS that is lent for a while'),
  vertex_credentials: secret.describe('JSON of a service account, for vertex_ai'),
};

const values =
  'Secrets by the name they have in litellm_params: api_key, api_base, those of AWS, vertex_credentials; os.environ/NAME names a variable of the daemon';

export const newCredentialFields = {
  credentialName: label.describe('The name models refer to it by'),
  credentialValues: z.strictObject(valuesShape).partial().default({}).describe(values),
  credentialInfo: metadata.default({}).describe('Free JSON, such as custom_llm_provider or a description'),
};

const changedValues = z
  .strictObject({
    api_key: secret.nullable().describe('Key for the upstream'),
    api_base: address.nullable().describe('Where the upstream is'),
    aws_access_key_id: secret.nullable().describe('Of a key of AWS, for bedrock'),
    aws_secret_access_key: secret.nullable().describe('Of the same'),
    aws_session_token: secret.nullable().describe('Of a key of AWS that is lent for a while'),
    vertex_credentials: secret.nullable().describe('JSON of a service account, for vertex_ai'),
  })
  .partial();

export const credentialChanges = {
  credentialValues: changedValues.optional().describe(`${values}; null takes one away`),
  credentialInfo: metadata.optional().describe('Free JSON, in place of what there is'),
};

export type CredentialValues = z.output<typeof changedValues>;

/** A credential in answers. No value ever. */
export const credentialInfo = {
  credentialName: z.string().describe('The name models refer to it by'),
  credentialValues: z
    .record(z.string(), z.string())
    .describe('Which values it has, each by its last four characters, or by the variable it is read from'),
  fingerprints: z
    .record(z.string(), z.string())
    .describe(
      'Whether two values are the same: made with the encryption key, so that nobody can try values against it',
    ),
  credentialInfo: metadata.describe('Free JSON, as it was given'),
  provider: z.string().nullable().describe('What its credential_info says of whose it is'),
  usedBy: z.array(z.string()).describe('Ids of the deployments that use it'),
  ...stampInfo,
};

export interface CredentialWithUse {
  readonly credential: Credential;
  readonly usedBy: readonly string[];
}

export function describeCredential({ credential, usedBy }: CredentialWithUse) {
  const { name, credentialValues, info, createdAt, createdBy, updatedAt, updatedBy } = credential;
  const kept = Object.entries(credentialValues);
  const provider = info['custom_llm_provider'];
  return {
    credentialName: name,
    credentialValues: Object.fromEntries(kept.map(([value, { shown }]) => [value, shown])),
    fingerprints: Object.fromEntries(
      kept.flatMap(([value, { fingerprint }]) => (fingerprint === null ? [] : [[value, fingerprint]])),
    ),
    credentialInfo: info,
    provider: typeof provider === 'string' ? provider : null,
    usedBy: [...usedBy],
    createdAt,
    createdBy,
    updatedAt,
    updatedBy,
  };
}

const row = answer(credentialInfo);

/** A credential as it travels: what administrators see, and what the audit log keeps. */
export const encodeCredential = (credential: CredentialWithUse) => row.encode(describeCredential(credential));
