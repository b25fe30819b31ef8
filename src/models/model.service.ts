import { randomUUID } from 'node:crypto';
import { LockMode, UniqueConstraintViolationException } from '@mikro-orm/core';
import type { AuditService } from '../audit/audit.service.ts';
import { announce } from '../db/notify.ts';
import { createStamp, given, updateStamp, type Work } from '../db/work.ts';
import type { Vault } from '../kernel/encryption.ts';
import { GatewayError } from '../kernel/errors.ts';
import { requireChange } from '../kernel/fields.ts';
import { offsetOf, type Page } from '../kernel/page.ts';
import { type Deployment, environmentName } from './deployment.ts';
import { Model } from './model.entity.ts';
import { deploymentOf, describeDeployment, encodeDeployment, type LitellmParams } from './model.wire.ts';

export interface NewModel {
  modelName: string;
  params: LitellmParams;
  info: { id?: string | undefined; [name: string]: unknown };
}

export type ModelChanges = Partial<NewModel>;

export interface ModelFilter extends Page {
  modelName?: string | undefined;
}

/** Deployments a list is made of: those of the database are paged, those of the configuration come first. */
export class ModelService {
  readonly #work: Work;
  readonly #audit: AuditService;
  readonly #vault: Vault;
  readonly #configured: readonly Deployment[];

  constructor(work: Work, audit: AuditService, vault: Vault, configured: readonly Deployment[]) {
    this.#work = work;
    this.#audit = audit;
    this.#vault = vault;
    this.#configured = configured;
  }

  async create({
    modelName,
    params: { api_key: apiKey, ...params },
    info: { id, ...info },
  }: NewModel): Promise<Deployment> {
    if (params.model === undefined) {
      throw new GatewayError('invalid', 'invalid_request_error', 'litellm_params.model: no upstream model was given', {
        param: 'litellm_params.model',
        hint: 'Give provider and model, such as openai/gpt-4o.',
      });
    }
    const modelId = id ?? randomUUID();
    if (this.#configured.some((each) => each.id === modelId)) throw idTaken(modelId);
    const model = this.#work.em.create(Model, {
      id: modelId,
      name: modelName,
      params: withoutNulls(params),
      apiKey: this.#seal(modelId, apiKey) ?? null,
      info,
      ...createStamp(this.#work),
    });
    try {
      await this.#work.em.flush();
    } catch (cause) {
      throw cause instanceof UniqueConstraintViolationException ? idTaken(modelId, cause) : cause;
    }
    return this.#changed(model, 'created');
  }

  async update(reference: string, { modelName: name, params = {}, info = {} }: ModelChanges): Promise<Deployment> {
    const { api_key: apiKey, ...rest } = params;
    const { id: _, ...otherInfo } = info;
    requireChange({ name, apiKey, ...rest, ...otherInfo });
    const model = await this.#lock(reference);
    const before = this.#encode(model);
    this.#work.em.assign(model, {
      ...given({ name, apiKey: this.#seal(model.id, apiKey) }),
      params: withoutNulls({ ...model.params, ...rest }),
      info: withoutNulls({ ...model.info, ...otherInfo }),
      ...updateStamp(this.#work),
    });
    await this.#work.em.flush();
    return this.#changed(model, 'updated', before);
  }

  async delete(reference: string): Promise<Deployment> {
    const model = await this.#lock(reference);
    const deployment = await this.#changed(model, 'deleted', this.#encode(model));
    this.#work.em.remove(model);
    await this.#work.em.flush();
    return deployment;
  }

  /** One deployment by id, or all of a name. */
  async get(reference: string): Promise<Deployment[]> {
    const rows = await this.#work.em.find(
      Model,
      { $or: [{ id: reference }, { name: reference }] },
      { orderBy: { id: 'asc' } },
    );
    const configured = this.#configured.filter(({ id, name }) => id === reference || name === reference);
    const found = [...configured, ...rows.map((model) => deploymentOf(model))];
    const exact = found.filter(({ id }) => id === reference);
    if (exact.length > 0) return exact;
    if (found.length > 0) return found;
    throw unknownModel(reference);
  }

  /** Whether a deployment of the database is called with this key; null is none. */
  async hasApiKey(id: string, apiKey: string | null): Promise<boolean> {
    const model = await this.#work.em.findOne(Model, { id });
    const kept = model?.apiKey ?? null;
    if (kept === null || apiKey === null || environmentName(kept)) return kept === apiKey;
    return this.#vault.open(kept, { table: 'models', column: 'api_key', row: id }) === apiKey;
  }

  async list({ page, size, modelName }: ModelFilter): Promise<{ models: Deployment[]; total: number }> {
    const configured = this.#configured.filter(({ name }) => modelName === undefined || name === modelName);
    const offset = offsetOf({ page, size });
    const fromConfig = configured.slice(offset, offset + size);
    const [rows, count] = await this.#work.em.findAndCount(Model, given({ name: modelName }), {
      orderBy: { name: 'asc', id: 'asc' },
      // A limit of 0 would be none at all.
      limit: Math.max(1, size - fromConfig.length),
      offset: Math.max(0, offset - configured.length),
    });
    const fromDatabase = size > fromConfig.length ? rows.map((model) => deploymentOf(model)) : [];
    return { models: [...fromConfig, ...fromDatabase], total: configured.length + count };
  }

  /** An upstream's key as it is kept: a reference as it is, anything else sealed for this row. */
  #seal(id: string, apiKey: string | null | undefined): string | null | undefined {
    if (!apiKey) return apiKey;
    return environmentName(apiKey) ? apiKey : this.#vault.seal(apiKey, { table: 'models', column: 'api_key', row: id });
  }

  async #lock(reference: string): Promise<Model> {
    const [deployment, other] = await this.get(reference);
    if (!deployment) throw unknownModel(reference);
    if (other) {
      throw new GatewayError('invalid', 'ambiguous_model', `More than one deployment is called ${reference}`, {
        param: 'id',
        hint: 'Name it by its id: gatewayctl model get ' + reference,
      });
    }
    if (deployment.source !== 'database') {
      throw new GatewayError(
        'conflict',
        'model_not_in_database',
        `Model ${deployment.name} is set up in the configuration`,
        {
          param: 'id',
          status: 400,
          hint: 'Change the configuration file and restart the daemon.',
        },
      );
    }
    return this.#work.em.findOneOrFail(
      Model,
      { id: deployment.id },
      { lockMode: LockMode.PESSIMISTIC_WRITE, refresh: true },
    );
  }

  #encode(model: Model): unknown {
    return encodeDeployment(describeDeployment(deploymentOf(model)));
  }

  async #changed(model: Model, action: 'created' | 'updated' | 'deleted', before?: unknown): Promise<Deployment> {
    await announce(this.#work, { entity: 'model' });
    const after = action === 'deleted' ? undefined : this.#encode(model);
    this.#audit.record({ action, object: 'model', id: model.id, before, after });
    return deploymentOf(model);
  }
}

/** Null clears: what has no value is not kept. */
const withoutNulls = (settings: object): Record<string, unknown> =>
  Object.fromEntries(Object.entries(settings).filter(([, value]) => value !== null && value !== undefined));

const idTaken = (id: string, cause?: unknown) =>
  new GatewayError('conflict', 'bad_request_error', `A deployment with id ${id} already exists`, {
    param: 'model_info.id',
    status: 400,
    hint: 'Leave the id out, and one is made up.',
    cause,
  });

const unknownModel = (reference: string) =>
  new GatewayError('notFound', 'not_found_error', `No model "${reference}"`, {
    param: 'id',
    hint: 'Which models there are: gatewayctl model list',
  });
