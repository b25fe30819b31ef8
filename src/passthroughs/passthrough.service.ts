import { randomUUID } from 'node:crypto';
import { LockMode, UniqueConstraintViolationException } from '@mikro-orm/core';
import type { AuditAction, AuditService } from '../audit/audit.service.ts';
import type { KeptValue } from '../credentials/credential.entity.ts';
import { keepValue } from '../credentials/credential.values.ts';
import { announce } from '../db/notify.ts';
import { createStamp, given, updateStamp, type Work } from '../db/work.ts';
import type { Vault } from '../kernel/encryption.ts';
import { GatewayError } from '../kernel/errors.ts';
import { requireChange } from '../kernel/fields.ts';
import { offsetOf, type Page } from '../kernel/page.ts';
import { type PassThroughEndpoint, type PassThroughMethod, passThroughMethods } from '../kernel/pass-through.ts';
import { environmentName } from '../models/deployment.ts';
import { PassThrough } from './passthrough.entity.ts';
import { headerPlace } from './passthrough.queries.ts';
import {
  type DescribedPassThrough,
  describeConfigured,
  describePassThrough,
  encodePassThrough,
} from './passthrough.wire.ts';

type Maybe<T> = T | null | undefined;

export interface PassThroughFields {
  path: string;
  target: string;
  headers: Record<string, string>;
  defaultQueryParams: Record<string, string>;
  includeSubpath: boolean;
  forwardHeaders: boolean | string[];
  methods?: Maybe<PassThroughMethod[]>;
  costPerRequest?: Maybe<number>;
  timeout?: Maybe<number>;
  allowPrivateNetwork: boolean;
}

export type PassThroughChanges = { [Name in keyof PassThroughFields]?: PassThroughFields[Name] | undefined };

/** Operators' own ways through. What their headers hold goes in, and comes out to the target alone. */
export class PassThroughService {
  readonly #work: Work;
  readonly #audit: AuditService;
  readonly #vault: Vault;
  readonly #configured: readonly PassThroughEndpoint[];

  /** @param configured those of the configuration file, which are shown, and changed there */
  constructor(
    work: Work,
    { audit, vault, configured }: { audit: AuditService; vault: Vault; configured: readonly PassThroughEndpoint[] },
  ) {
    this.#work = work;
    this.#audit = audit;
    this.#vault = vault;
    this.#configured = configured;
  }

  async create({ path, target, headers, methods, ...more }: PassThroughFields): Promise<DescribedPassThrough> {
    this.#requireFree(path);
    const id = randomUUID();
    const endpoint = this.#work.em.create(PassThrough, {
      id,
      path,
      target,
      headers: this.#sealed(id, headers),
      defaultQueryParams: more.defaultQueryParams,
      includeSubpath: more.includeSubpath,
      forwardHeaders: more.forwardHeaders,
      methods: methods ?? [...passThroughMethods],
      costPerRequest: more.costPerRequest ?? null,
      timeout: more.timeout ?? null,
      allowPrivateNetwork: more.allowPrivateNetwork,
      ...createStamp(this.#work),
    });
    await this.#flush(path);
    await this.#changed(endpoint, 'created');
    return describePassThrough(endpoint);
  }

  async update(reference: string, changes: PassThroughChanges): Promise<DescribedPassThrough> {
    requireChange(changes);
    const endpoint = await this.#lock(reference);
    const before = encodePassThrough(endpoint);
    const { path, target, headers, methods, defaultQueryParams, includeSubpath, forwardHeaders } = changes;
    const { costPerRequest, timeout, allowPrivateNetwork } = changes;
    if (path !== undefined) this.#requireFree(path);
    this.#work.em.assign(endpoint, {
      ...given({ path, target, defaultQueryParams, includeSubpath, forwardHeaders, costPerRequest, timeout }),
      ...given({ allowPrivateNetwork }),
      ...(headers && { headers: this.#sealed(endpoint.id, headers) }),
      ...(methods !== undefined && { methods: methods ?? [...passThroughMethods] }),
      ...updateStamp(this.#work),
    });
    await this.#flush(endpoint.path);
    await this.#changed(endpoint, 'updated', before);
    return describePassThrough(endpoint);
  }

  async delete(reference: string): Promise<DescribedPassThrough> {
    const endpoint = await this.#lock(reference);
    await this.#changed(endpoint, 'deleted', encodePassThrough(endpoint));
    this.#work.em.remove(endpoint);
    await this.#work.em.flush();
    return describePassThrough(endpoint);
  }

  /** @param reference its id or its path */
  async get(reference: string): Promise<DescribedPassThrough> {
    const configured = this.#configured.find(({ id, path }) => id === reference || path === reference);
    if (configured) return describeConfigured(configured);
    const endpoint = await this.#work.em.findOne(PassThrough, { $or: [{ id: reference }, { path: reference }] });
    if (endpoint) return describePassThrough(endpoint);
    throw unknown(reference);
  }

  /** Those of the configuration file come first, on the first page. */
  async list({ page, size }: Page): Promise<{ endpoints: DescribedPassThrough[]; total: number }> {
    const [found, total] = await this.#work.em.findAndCount(
      PassThrough,
      {},
      { orderBy: { path: 'asc' }, limit: size, offset: offsetOf({ page, size }) },
    );
    const configured = page === 1 ? this.#configured.map(describeConfigured) : [];
    return { endpoints: [...configured, ...found.map(describePassThrough)], total: total + this.#configured.length };
  }

  /** Names of the headers that are missing, more, or have other values than these. */
  async differing(id: string, wanted: Readonly<Record<string, unknown>>): Promise<string[]> {
    const { headers = {} } = (await this.#work.em.findOne(PassThrough, { id })) ?? {};
    return [...new Set([...Object.keys(headers), ...Object.keys(wanted)])].filter((name) => {
      const sealed = headers[name]?.sealed;
      if (sealed === undefined || environmentName(sealed) !== undefined) return sealed !== wanted[name];
      return this.#vault.open(sealed, headerPlace(id, name)) !== wanted[name];
    });
  }

  #sealed(id: string, headers: Record<string, string>): Record<string, KeptValue> {
    return Object.fromEntries(
      Object.entries(headers).map(([name, value]) => [name, keepValue(this.#vault, value, headerPlace(id, name))]),
    );
  }

  #requireFree(path: string): void {
    if (this.#configured.some((each) => each.path === path)) throw inConfiguration(path);
  }

  async #flush(path: string): Promise<void> {
    try {
      await this.#work.em.flush();
    } catch (cause) {
      throw cause instanceof UniqueConstraintViolationException ? taken(path, cause) : cause;
    }
  }

  async #lock(reference: string): Promise<PassThrough> {
    if (this.#configured.some(({ id, path }) => id === reference || path === reference)) {
      throw inConfiguration(reference);
    }
    const options = { lockMode: LockMode.PESSIMISTIC_WRITE, refresh: true } as const;
    const where = { $or: [{ id: reference }, { path: reference }] };
    const endpoint = await this.#work.em.findOne(PassThrough, where, options);
    if (endpoint) return endpoint;
    throw unknown(reference);
  }

  async #changed(endpoint: PassThrough, action: AuditAction, before?: unknown): Promise<void> {
    await announce(this.#work, { entity: 'pass_through_endpoint' });
    const after = action === 'deleted' ? undefined : encodePassThrough(endpoint);
    this.#audit.record({ action, object: 'pass_through_endpoint', id: endpoint.id, before, after });
  }
}

const unknown = (reference: string) =>
  new GatewayError('notFound', 'not_found_error', `No pass-through endpoint "${reference}"`, {
    param: 'endpoint_id',
    hint: 'Which endpoints there are: gatewayctl passthrough list',
  });

const taken = (path: string, cause: unknown) =>
  new GatewayError('conflict', 'bad_request_error', `A pass-through endpoint at ${path} already exists`, {
    param: 'path',
    status: 400,
    hint: `Change the one there is: gatewayctl passthrough update ${path}`,
    cause,
  });

const inConfiguration = (path: string) =>
  new GatewayError(
    'conflict',
    'bad_request_error',
    `The pass-through endpoint ${path} stands in the configuration file`,
    {
      param: 'path',
      status: 400,
      hint: 'Change it there: general_settings.pass_through_endpoints.',
    },
  );
