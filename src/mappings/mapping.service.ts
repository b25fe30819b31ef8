import { randomUUID } from 'node:crypto';
import { LockMode, UniqueConstraintViolationException } from '@mikro-orm/core';
import type { AuditAction, AuditService } from '../audit/audit.service.ts';
import { announce } from '../db/notify.ts';
import { createStamp, given, updateStamp, type Work } from '../db/work.ts';
import { GatewayError } from '../kernel/errors.ts';
import { requireChange } from '../kernel/fields.ts';
import { offsetOf, type Page } from '../kernel/page.ts';
import type { KeyService } from '../keys/key.service.ts';
import { KeyMapping } from './mapping.entity.ts';
import { encodeMapping } from './mapping.wire.ts';

type Maybe<T> = T | null | undefined;

export interface NewMapping {
  claimName: string;
  claimValue: string;
  issuer?: Maybe<string>;
  /** As a key is named anywhere. */
  key: string;
  description?: Maybe<string>;
  isActive?: Maybe<boolean>;
}

export type MappingChanges = { [K in 'key' | 'description' | 'isActive']?: NewMapping[K] | undefined };

/** Which claims of tokens stand for which virtual keys. */
export class MappingService {
  readonly #work: Work;
  readonly #audit: AuditService;
  readonly #keys: Pick<KeyService, 'get'>;

  constructor(work: Work, audit: AuditService, keys: Pick<KeyService, 'get'>) {
    this.#work = work;
    this.#audit = audit;
    this.#keys = keys;
  }

  /** @throws GatewayError 400 when the claim is mapped already, 404 when the key is not there */
  async create({
    claimName,
    claimValue,
    issuer,
    key: reference,
    description,
    isActive,
  }: NewMapping): Promise<KeyMapping> {
    const { id: keyId } = await this.#keys.get(reference);
    const mapping = this.#work.em.create(KeyMapping, {
      id: randomUUID(),
      claimName,
      claimValue,
      issuer: issuer ?? null,
      keyId,
      description: description ?? null,
      isActive: isActive ?? true,
      ...createStamp(this.#work),
    });
    try {
      await this.#work.em.flush();
    } catch (cause) {
      throw cause instanceof UniqueConstraintViolationException ? taken(claimName, claimValue, cause) : cause;
    }
    await this.#changed(mapping, 'created');
    return mapping;
  }

  async update(id: string, { key: reference, description, isActive }: MappingChanges): Promise<KeyMapping> {
    requireChange({ key: reference, description, isActive });
    const mapping = await this.#lock(id);
    const before = encodeMapping(mapping);
    const keyId = reference === undefined ? undefined : (await this.#keys.get(reference)).id;
    this.#work.em.assign(mapping, {
      ...given({ keyId, description, isActive: isActive ?? undefined }),
      ...updateStamp(this.#work),
    });
    await this.#work.em.flush();
    await this.#changed(mapping, 'updated', before);
    return mapping;
  }

  async delete(id: string): Promise<KeyMapping> {
    const mapping = await this.#lock(id);
    await this.#changed(mapping, 'deleted', encodeMapping(mapping));
    this.#work.em.remove(mapping);
    await this.#work.em.flush();
    return mapping;
  }

  async get(id: string): Promise<KeyMapping> {
    const mapping = await this.#work.em.findOne(KeyMapping, { id });
    if (mapping) return mapping;
    throw unknown(id);
  }

  /** The one that a claim has, for whoever wants none made twice. */
  async find(claimName: string, claimValue: string, issuer: Maybe<string>): Promise<KeyMapping | undefined> {
    return (await this.#work.em.findOne(KeyMapping, { claimName, claimValue, issuer: issuer ?? null })) ?? undefined;
  }

  async list({ page, size }: Page): Promise<{ mappings: KeyMapping[]; total: number }> {
    const [mappings, total] = await this.#work.em.findAndCount(
      KeyMapping,
      {},
      { orderBy: { createdAt: 'desc', id: 'asc' }, limit: size, offset: offsetOf({ page, size }) },
    );
    return { mappings, total };
  }

  async #lock(id: string): Promise<KeyMapping> {
    const options = { lockMode: LockMode.PESSIMISTIC_WRITE, refresh: true } as const;
    const mapping = await this.#work.em.findOne(KeyMapping, { id }, options);
    if (mapping) return mapping;
    throw unknown(id);
  }

  async #changed(mapping: KeyMapping, action: AuditAction, before?: unknown): Promise<void> {
    await announce(this.#work, { entity: 'jwt_key_mapping' });
    const after = action === 'deleted' ? undefined : encodeMapping(mapping);
    this.#audit.record({ action, object: 'jwt_key_mapping', id: mapping.id, before, after });
  }
}

const unknown = (id: string) =>
  new GatewayError('notFound', 'not_found_error', `No mapping "${id}"`, {
    param: 'id',
    hint: 'Which mappings there are: gatewayctl jwt mapping list',
  });

const taken = (name: string, value: string, cause: unknown) =>
  new GatewayError('conflict', 'bad_request_error', `The claim ${name}=${value} is mapped already`, {
    param: 'jwt_claim_value',
    status: 400,
    hint: 'Which mappings there are: gatewayctl jwt mapping list',
    cause,
  });
