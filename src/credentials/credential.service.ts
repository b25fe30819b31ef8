import { randomUUID } from 'node:crypto';
import { LockMode, UniqueConstraintViolationException } from '@mikro-orm/core';
import type { AuditAction, AuditService } from '../audit/audit.service.ts';
import { announce } from '../db/notify.ts';
import { createStamp, given, updateStamp, type Work } from '../db/work.ts';
import type { Vault } from '../kernel/encryption.ts';
import { GatewayError } from '../kernel/errors.ts';
import { requireChange } from '../kernel/fields.ts';
import { offsetOf, type Page } from '../kernel/page.ts';
import { environmentName } from '../models/deployment.ts';
import { Model } from '../models/model.entity.ts';
import { credentialPlace } from '../models/model.queries.ts';
import { Credential, type KeptValue } from './credential.entity.ts';
import { keepValue } from './credential.values.ts';
import { type CredentialValues, type CredentialWithUse, encodeCredential } from './credential.wire.ts';

export interface NewCredential {
  credentialName: string;
  credentialValues: CredentialValues;
  credentialInfo: Record<string, unknown>;
}

export type CredentialChanges = {
  [K in keyof Omit<NewCredential, 'credentialName'>]?: NewCredential[K] | undefined;
};

/** Deployments named where a credential is shown, or is not deleted because of them. */
const USES_AT_MOST = 1_000;

/** What providers want to see, kept for the models that name it. A value goes in, and comes out to a provider alone. */
export class CredentialService {
  readonly #work: Work;
  readonly #audit: AuditService;
  readonly #vault: Vault;

  constructor(work: Work, audit: AuditService, vault: Vault) {
    this.#work = work;
    this.#audit = audit;
    this.#vault = vault;
  }

  async create({ credentialName: name, credentialValues, credentialInfo }: NewCredential): Promise<CredentialWithUse> {
    const id = randomUUID();
    const values = this.#sealed(id, credentialValues);
    if (Object.keys(values).length === 0) throw noValues();
    const credential = this.#work.em.create(Credential, {
      id,
      name,
      credentialValues: values,
      info: credentialInfo,
      ...createStamp(this.#work),
    });
    try {
      await this.#work.em.flush();
    } catch (cause) {
      throw cause instanceof UniqueConstraintViolationException ? nameTaken(name, cause) : cause;
    }
    return this.#changed(credential, 'created');
  }

  async update(
    name: string,
    { credentialValues, credentialInfo: info }: CredentialChanges,
  ): Promise<CredentialWithUse> {
    requireChange({ info, ...credentialValues });
    const credential = await this.#lock(name);
    const before = await this.#encode(credential);
    const values = this.#merged(credential, credentialValues ?? {});
    this.#work.em.assign(credential, {
      ...given({ info }),
      credentialValues: values,
      ...updateStamp(this.#work),
    });
    await this.#work.em.flush();
    return this.#changed(credential, 'updated', before);
  }

  async delete(name: string): Promise<CredentialWithUse> {
    const credential = await this.#lock(name);
    const [whole] = await this.#withUse([credential]);
    if (whole && whole.usedBy.length > 0) throw stillUsed(name, whole.usedBy);
    const deleted = await this.#changed(credential, 'deleted', await this.#encode(credential));
    this.#work.em.remove(credential);
    await this.#work.em.flush();
    return deleted;
  }

  async get(name: string): Promise<CredentialWithUse> {
    const credential = await this.#work.em.findOne(Credential, { name });
    if (!credential) throw unknownCredential(name);
    return this.#one(credential);
  }

  /** The one a deployment uses. */
  async ofModel(modelId: string): Promise<CredentialWithUse> {
    const model = await this.#work.em.findOne(Model, { id: modelId });
    if (!model) {
      throw new GatewayError('notFound', 'not_found_error', `No model "${modelId}" in the database`, {
        param: 'model_id',
        hint: 'Which models there are: gatewayctl model list',
      });
    }
    if (model.credentialName) return this.get(model.credentialName);
    throw new GatewayError('notFound', 'not_found_error', `Model ${model.name} uses no credential`, {
      param: 'model_id',
      hint: `Give it one: gatewayctl model update ${modelId} --credential <name>`,
    });
  }

  /** Names of the values that are others than these. */
  async differing(name: string, values: Readonly<Record<string, unknown>>): Promise<string[]> {
    const { id, credentialValues } = (await this.get(name)).credential;
    return Object.entries(values).flatMap(([value, wanted]) => {
      const sealed = credentialValues[value]?.sealed;
      if (sealed === undefined || environmentName(sealed) !== undefined) return sealed === wanted ? [] : [value];
      return this.#vault.open(sealed, credentialPlace(id, value)) === wanted ? [] : [value];
    });
  }

  async list({ page, size }: Page): Promise<{ credentials: CredentialWithUse[]; total: number }> {
    const [found, total] = await this.#work.em.findAndCount(
      Credential,
      {},
      {
        orderBy: { name: 'asc' },
        limit: size,
        offset: offsetOf({ page, size }),
      },
    );
    return { credentials: await this.#withUse(found), total };
  }

  async #one(credential: Credential): Promise<CredentialWithUse> {
    const [whole = { credential, usedBy: [] }] = await this.#withUse([credential]);
    return whole;
  }

  async #withUse(credentials: readonly Credential[]): Promise<CredentialWithUse[]> {
    const models = await this.#work.em.find(
      Model,
      { credentialName: { $in: credentials.map(({ name }) => name) } },
      { fields: ['id', 'credentialName'], orderBy: { id: 'asc' }, limit: USES_AT_MOST },
    );
    return credentials.map((credential) => ({
      credential,
      usedBy: models.filter(({ credentialName }) => credentialName === credential.name).map(({ id }) => id),
    }));
  }

  #merged({ id, credentialValues }: Credential, changes: CredentialValues): Record<string, KeptValue> {
    const left = Object.entries(credentialValues).filter(([name]) => !(name in changes));
    const values = { ...Object.fromEntries(left), ...this.#sealed(id, changes) };
    if (Object.keys(values).length > 0) return values;
    throw noValues();
  }

  #sealed(id: string, values: CredentialValues): Record<string, KeptValue> {
    return Object.fromEntries(
      Object.entries(values).flatMap(([name, value]) =>
        value === null || value === undefined ? [] : [[name, keepValue(this.#vault, value, credentialPlace(id, name))]],
      ),
    );
  }

  async #lock(name: string): Promise<Credential> {
    const options = { lockMode: LockMode.PESSIMISTIC_WRITE, refresh: true } as const;
    const credential = await this.#work.em.findOne(Credential, { name }, options);
    if (credential) return credential;
    throw unknownCredential(name);
  }

  async #encode(credential: Credential): Promise<unknown> {
    return encodeCredential(await this.#one(credential));
  }

  /** Announced as a change of models: what a daemon holds of a credential is in the deployments that use it. */
  async #changed(credential: Credential, action: AuditAction, before?: unknown): Promise<CredentialWithUse> {
    await announce(this.#work, { entity: 'model' });
    const after = action === 'deleted' ? undefined : await this.#encode(credential);
    this.#audit.record({ action, object: 'credential', id: credential.id, before, after });
    return this.#one(credential);
  }
}

const unknownCredential = (name: string) =>
  new GatewayError('notFound', 'not_found_error', `No credential "${name}"`, {
    param: 'credential_name',
    hint: 'Which credentials there are: gatewayctl credential list',
  });

const nameTaken = (name: string, cause: unknown) =>
  new GatewayError('conflict', 'bad_request_error', `A credential called ${name} already exists`, {
    param: 'credential_name',
    status: 400,
    hint: `Change the one there is: gatewayctl credential update ${name}`,
    cause,
  });

const noValues = () =>
  new GatewayError('invalid', 'invalid_request_error', 'credential_values: a credential without a value is none', {
    param: 'credential_values',
    hint: 'Give one, such as --value-file api_key=/path/to/file.',
  });

const stillUsed = (name: string, models: readonly string[]) =>
  new GatewayError('conflict', 'still_in_use', `Credential ${name} is used by ${models.join(', ')}`, {
    param: 'credential_name',
    hint: 'Give these models another, or delete them first: gatewayctl model update <id> --credential <name>',
  });
