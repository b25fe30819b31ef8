import { randomUUID } from 'node:crypto';
import { ForeignKeyConstraintViolationException, LockMode, UniqueConstraintViolationException } from '@mikro-orm/core';
import type { MayCall } from '../access/callable.ts';
import type { AuditService } from '../audit/audit.service.ts';
import { announce } from '../db/notify.ts';
import { createStamp, given, updateStamp, type Work } from '../db/work.ts';
import type { Vault } from '../kernel/encryption.ts';
import { GatewayError } from '../kernel/errors.ts';
import { requireChange } from '../kernel/fields.ts';
import { offsetOf, type Page } from '../kernel/page.ts';
import { accessGroupsOf, type Deployment, environmentName, teamOf } from './deployment.ts';
import { Model } from './model.entity.ts';
import {
  ambiguous,
  credentialMissing,
  idTaken,
  notInDatabase,
  notYours,
  otherId,
  refuseUnreachable,
  unknownModel,
} from './model.errors.ts';
import {
  deploymentOf,
  describeDeployment,
  encodeDeployment,
  type KnownModel,
  type LitellmParams,
  type ModelInfo,
} from './model.wire.ts';
import { requireOwnUpstream, requireTeamFields } from './team-models.ts';
import { visibleTo } from './visible-models.ts';

export interface NewModel {
  modelName: string;
  params: LitellmParams;
  info: ModelInfo;
}

export type ModelChanges = Partial<NewModel>;

export interface ModelFilter extends Page {
  modelName?: string | undefined;
  teamId?: string | undefined;
}

export interface ModelParts {
  readonly audit: AuditService;
  readonly vault: Vault;
  /** Deployments that are set up outside the database. */
  readonly configured: readonly Deployment[];
  /** What the price catalogue knows; loading it takes some 50 ms. */
  readonly catalogue: () => Promise<(deployment: Deployment) => KnownModel>;
  /** What the caller may call, or undefined when every model is shown to it. */
  readonly mayCall: () => Promise<MayCall | undefined>;
}

/** Deployments a list for a caller without the right to see them all is made of. */
const MODELS_AT_MOST = 10_000;

/** Deployments a list is made of: those of the database are paged, those of the configuration come first. */
export class ModelService {
  readonly #work: Work;
  readonly #parts: ModelParts;

  constructor(work: Work, parts: ModelParts) {
    this.#work = work;
    this.#parts = parts;
  }

  async create({ modelName, params, info: { id, ...info } }: NewModel): Promise<Deployment> {
    if (params.model === undefined) {
      throw new GatewayError('invalid', 'invalid_request_error', 'litellm_params.model: no upstream model was given', {
        param: 'litellm_params.model',
        hint: 'Give provider and model, such as openai/gpt-4o.',
      });
    }
    await this.#requireTeam(info.team_id, params, { id, ...info });
    const modelId = id ?? randomUUID();
    if (this.#parts.configured.some((each) => each.id === modelId)) throw idTaken(modelId);
    const { api_key: apiKey, litellm_credential_name: credential, ...rest } = params;
    refuseUnreachable(rest);
    const model = this.#work.em.create(Model, {
      id: modelId,
      name: modelName,
      params: withoutNulls(rest),
      apiKey: this.#seal(modelId, apiKey) ?? null,
      credentialName: credential ?? null,
      ...ownerAndInfo({ teamId: null, info: {} }, info),
      ...createStamp(this.#work),
    });
    await this.#flush(model);
    return this.#changed(model, 'created');
  }

  async update(reference: string, { modelName: name, params = {}, info = {} }: ModelChanges): Promise<Deployment> {
    const { api_key: apiKey, litellm_credential_name: credentialName, ...rest } = params;
    const { id, ...otherInfo } = info;
    requireChange({ name, apiKey, credentialName, ...rest, ...otherInfo });
    const model = await this.#lock(reference);
    if (id !== undefined && id !== model.id) throw otherId(model.id);
    if (otherInfo.team_id !== undefined && otherInfo.team_id !== model.teamId)
      await this.#requireTeam(otherInfo.team_id, params, info);
    if (!this.#work.authority.isAdmin) {
      requireTeamFields(params, info);
      requireOwnUpstream(model, params);
    }
    const before = this.#encode(model);
    const merged = withoutNulls({ ...model.params, ...rest });
    if (rest.api_base !== undefined || rest.allow_private_network !== undefined) refuseUnreachable(merged);
    this.#work.em.assign(model, {
      ...given({ name, apiKey: this.#seal(model.id, apiKey), credentialName }),
      params: merged,
      ...ownerAndInfo(model, otherInfo),
      ...updateStamp(this.#work),
    });
    await this.#flush(model);
    return this.#changed(model, 'updated', before);
  }

  async delete(reference: string): Promise<Deployment> {
    return this.#remove(await this.#lock(reference));
  }

  /** The models of a team that is deleted: nobody else may call them. */
  async removeOf(teamId: string): Promise<void> {
    const models = await this.#work.em.find(Model, { teamId }, { lockMode: LockMode.PESSIMISTIC_WRITE });
    for (const model of models) await this.#remove(model);
  }

  /** One deployment by id, or all of a name, as far as the caller may see them. */
  async get(reference: string): Promise<Deployment[]> {
    const rows = await this.#work.em.find(
      Model,
      { $or: [{ id: reference }, { name: reference }] },
      { orderBy: { id: 'asc' } },
    );
    const configured = this.#parts.configured.filter(({ id, name }) => id === reference || name === reference);
    const found = await this.#seen([...configured, ...rows.map((model) => deploymentOf(model))]);
    const exact = found.filter(({ id }) => id === reference);
    if (exact.length > 0) return exact;
    if (found.length > 0) return found;
    throw unknownModel(reference);
  }

  /** Whether a deployment of the database is called with this key; null is none. */
  async hasApiKey(id: string, apiKey: string | null): Promise<boolean> {
    const model = await this.#work.em.findOne(Model, { id });
    // To anybody else the answer would tell whether a guess was right.
    if (!(await this.#work.authority.administersTeam(model?.teamId))) return false;
    const kept = model?.apiKey ?? null;
    if (kept === null || apiKey === null || environmentName(kept)) return kept === apiKey;
    return this.#parts.vault.open(kept, { table: 'models', column: 'api_key', row: id }) === apiKey;
  }

  async list({ page, size, ...filter }: ModelFilter): Promise<{ models: Deployment[]; total: number }> {
    const offset = offsetOf({ page, size });
    if ((await this.#parts.mayCall()) !== undefined) {
      const all = await this.all(filter);
      return { models: all.slice(offset, offset + size), total: all.length };
    }
    const configured = this.#configuredAs(filter);
    const fromConfig = configured.slice(offset, offset + size);
    const [rows, count] = await this.#work.em.findAndCount(Model, whereOf(filter), {
      orderBy: { name: 'asc', id: 'asc' },
      // A limit of 0 would be none at all.
      limit: Math.max(1, size - fromConfig.length),
      offset: Math.max(0, offset - configured.length),
    });
    const fromDatabase = size > fromConfig.length ? rows.map((model) => deploymentOf(model)) : [];
    return { models: [...fromConfig, ...fromDatabase], total: configured.length + count };
  }

  /** Every deployment the caller may see, 10,000 of the database at most. */
  async all(filter: Omit<ModelFilter, keyof Page> = {}): Promise<Deployment[]> {
    const orderBy = { name: 'asc', id: 'asc' } as const;
    const rows = await this.#work.em.find(Model, whereOf(filter), { orderBy, limit: MODELS_AT_MOST });
    return this.#seen([...this.#configuredAs(filter), ...rows.map((model) => deploymentOf(model))]);
  }

  /** Deployments as the caller may read them, with what the catalogue knows of each. */
  async describe(deployments: readonly Deployment[]) {
    const known = await this.#parts.catalogue();
    const isWhole = (await this.#parts.mayCall()) === undefined;
    return deployments.map((deployment) => describeDeployment(deployment, known(deployment), isWhole));
  }

  /** @throws GatewayError for a model that is not there, not the only one of its name, not in the database, or not the caller's */
  async #lock(reference: string): Promise<Model> {
    const [deployment, other] = await this.get(reference);
    if (!deployment) throw unknownModel(reference);
    if (other) throw ambiguous(reference);
    if (!(await this.#work.authority.administersTeam(teamOf(deployment)))) throw notYours(deployment.name);
    if (deployment.source !== 'database') throw notInDatabase(deployment.name);
    const model = await this.#work.em.findOne(
      Model,
      { id: deployment.id },
      { lockMode: LockMode.PESSIMISTIC_WRITE, refresh: true },
    );
    if (!model) throw unknownModel(reference);
    // Somebody may have given it to another team until it was locked.
    if (!(await this.#work.authority.administersTeam(model.teamId))) throw notYours(deployment.name);
    return model;
  }

  /** Puts a deployment into an access group, or takes it out, by whether its name is one of those. */
  async setGroup(id: string, group: string, names: ReadonlySet<string>): Promise<void> {
    const { name, info } = await this.#lock(id);
    const others = accessGroupsOf({ info }).filter((each) => each !== group);
    await this.update(id, { info: { access_groups: names.has(name) ? [...others, group] : others } });
  }

  #encode(model: Model): unknown {
    return encodeDeployment(describeDeployment(deploymentOf(model)));
  }

  /** Whoever is no administrator makes models for a team of theirs alone. */
  async #requireTeam(teamId: string | null | undefined, params: LitellmParams, info: ModelInfo): Promise<void> {
    const { authority } = this.#work;
    if (authority.isAdmin) return;
    if (!(await authority.administersTeam(teamId))) throw notYours(undefined);
    requireTeamFields(params, info);
  }

  #configuredAs({ modelName, teamId }: Omit<ModelFilter, keyof Page>): readonly Deployment[] {
    return this.#parts.configured.filter(
      (each) =>
        (modelName === undefined || each.name === modelName) && (teamId === undefined || teamOf(each) === teamId),
    );
  }

  async #seen(deployments: readonly Deployment[]): Promise<Deployment[]> {
    const { actor, authority } = this.#work;
    const mayCall = await this.#parts.mayCall();
    if (!mayCall || actor.type !== 'key') return [...deployments];
    const administered = await authority.administeredTeams();
    return visibleTo({ mayCall, teamId: actor.teamId, administered }, deployments);
  }

  /** An upstream's key as it is kept: a reference as it is, anything else sealed for this row. */
  #seal(id: string, apiKey: string | null | undefined): string | null | undefined {
    if (!apiKey) return apiKey;
    const place = { table: 'models', column: 'api_key', row: id };
    return environmentName(apiKey) ? apiKey : this.#parts.vault.seal(apiKey, place);
  }

  async #flush({ id, credentialName }: Model): Promise<void> {
    try {
      await this.#work.em.flush();
    } catch (cause) {
      if (cause instanceof UniqueConstraintViolationException) throw idTaken(id, cause);
      const isMissing =
        cause instanceof ForeignKeyConstraintViolationException && /credential_name/.test(cause.message);
      throw isMissing ? credentialMissing(credentialName ?? '', cause) : cause;
    }
  }

  async #remove(model: Model): Promise<Deployment> {
    const deployment = await this.#changed(model, 'deleted', this.#encode(model));
    this.#work.em.remove(model);
    await this.#work.em.flush();
    return deployment;
  }

  async #changed(model: Model, action: 'created' | 'updated' | 'deleted', before?: unknown): Promise<Deployment> {
    await announce(this.#work, { entity: 'model' });
    const after = action === 'deleted' ? undefined : this.#encode(model);
    this.#parts.audit.record({ action, object: 'model', id: model.id, before, after });
    return deploymentOf(model);
  }
}

const whereOf = ({ modelName, teamId }: Omit<ModelFilter, keyof Page>) => given({ name: modelName, teamId });

/** The team has a column of its own, so that the database itself holds that it exists. */
function ownerAndInfo(
  { teamId, info }: Pick<Model, 'teamId' | 'info'>,
  { team_id: team, ...changes }: Pick<ModelInfo, 'team_id'> & Record<string, unknown>,
): { teamId: string | null; info: Record<string, unknown> } {
  const owner = (team === undefined ? teamId : team) ?? null;
  const merged = withoutNulls({ ...info, ...changes });
  if (owner !== null || merged['team_public_model_name'] === undefined) return { teamId: owner, info: merged };
  throw new GatewayError(
    'invalid',
    'invalid_request_error',
    'model_info.team_public_model_name: there is no team_id beside it',
    { param: 'model_info.team_public_model_name', hint: 'Without a team the name clients ask for is model_name.' },
  );
}

/** Null clears: what has no value is not kept. */
const withoutNulls = (settings: object): Record<string, unknown> =>
  Object.fromEntries(Object.entries(settings).filter(([, value]) => value !== null && value !== undefined));
