import { randomUUID } from 'node:crypto';
import type { AuditService } from '../audit/audit.service.ts';
import type { KeptValue } from '../credentials/credential.entity.ts';
import { keepValue } from '../credentials/credential.values.ts';
import { announce } from '../db/notify.ts';
import { SCHEMA } from '../db/schema.ts';
import { createStamp, updateStamp, type Work } from '../db/work.ts';
import type { Vault } from '../kernel/encryption.ts';
import { GatewayError } from '../kernel/errors.ts';
import type { KeyService } from '../keys/key.service.ts';
import type { TeamService } from '../teams/team.service.ts';
import type { CallbackType } from './callback-settings.ts';
import { DisabledLogging, OwnerCallback } from './owner-callback.entity.ts';
import { variablePlace } from './owner-callback.queries.ts';
import { ownerTarget } from './owner-callback.target.ts';
import { describeOwnerLogging, encodeOwnerLogging, type OwnerLoggingInfo } from './owner-callback.wire.ts';

export interface NewOwnerCallback {
  callbackName: string;
  callbackType?: CallbackType | null | undefined;
  callbackVars: Record<string, string | boolean>;
}

interface Parts {
  readonly audit: AuditService;
  readonly vault: Vault;
  readonly teams: TeamService;
  readonly keys: KeyService;
}

/** Whose calls they are: a team's or a key's, by id or alias. */
export type OwnerReference = { readonly team: string } | { readonly key: string };

/** The columns by which something is of one owner. */
type Owner = { readonly teamId: string; readonly keyId: null } | { readonly teamId: null; readonly keyId: string };

/** What teams and keys have said of their own calls. Variables go in, and come out to where they lead alone. */
export class OwnerCallbackService {
  readonly #work: Work;
  readonly #parts: Parts;

  constructor(work: Work, parts: Parts) {
    this.#work = work;
    this.#parts = parts;
  }

  async get(reference: OwnerReference): Promise<OwnerLoggingInfo> {
    return this.#describe(await this.#find(reference));
  }

  /** Puts it in the place of the owner's callback of that name, and has the owner's calls reported again. */
  async set(
    reference: OwnerReference,
    { callbackName, callbackType, callbackVars }: NewOwnerCallback,
  ): Promise<OwnerLoggingInfo> {
    const { em } = this.#work;
    const owner = await this.#lock(reference);
    const before = await this.#describe(owner);
    const { turn_off_message_logging: off, ...rest } = callbackVars;
    const values = texts(rest);
    // Refused now, and not when a call is to be reported.
    ownerTarget(callbackName, values);
    const found = await em.findOne(OwnerCallback, { ...owner, callbackName });
    const id = found?.id ?? randomUUID();
    const fields = {
      callbackType: callbackType ?? ('success_and_failure' as const),
      callbackVars: this.#sealed(id, values),
      turnOffMessageLogging: yesOrNo(off),
    };
    if (found) em.assign(found, { ...fields, ...updateStamp(this.#work) });
    else em.create(OwnerCallback, { id, ...owner, callbackName, ...fields, ...createStamp(this.#work) });
    await em.nativeDelete(DisabledLogging, owner);
    await em.flush();
    return this.#changed(owner, before);
  }

  /** Nobody is told of the owner's calls any more, whatever its callbacks were. */
  async disable(reference: OwnerReference): Promise<OwnerLoggingInfo> {
    const { em } = this.#work;
    const owner = await this.#lock(reference);
    const before = await this.#describe(owner);
    await em.nativeDelete(OwnerCallback, owner);
    if (!before.isLoggingDisabled) {
      const { createdAt, createdBy } = createStamp(this.#work);
      em.create(DisabledLogging, { id: randomUUID(), ...owner, createdAt, createdBy });
    }
    await em.flush();
    return this.#changed(owner, before);
  }

  #sealed(id: string, values: Readonly<Record<string, string>>): Record<string, KeptValue> {
    const { vault } = this.#parts;
    return Object.fromEntries(
      Object.entries(values).map(([name, value]) => [name, keepValue(vault, value, variablePlace(id, name))]),
    );
  }

  async #find(reference: OwnerReference): Promise<Owner> {
    const { teams, keys } = this.#parts;
    if ('team' in reference) return { teamId: (await teams.get(reference.team)).id, keyId: null };
    return { teamId: null, keyId: (await keys.get(reference.key)).id };
  }

  /** Changes of one owner come one after the other. */
  async #lock(reference: OwnerReference): Promise<Owner> {
    const owner = await this.#find(reference);
    const [table, id] = owner.teamId === null ? ['keys', owner.keyId] : ['teams', owner.teamId];
    await this.#work.em.execute(`select 1 from ${SCHEMA}.${table} where id = ? for no key update`, [id]);
    return owner;
  }

  async #describe(owner: Owner): Promise<OwnerLoggingInfo> {
    const { em } = this.#work;
    const callbacks = await em.find(OwnerCallback, owner, { orderBy: { callbackName: 'asc' }, refresh: true });
    const isDisabled = (await em.count(DisabledLogging, owner)) > 0;
    return describeOwnerLogging(owner, { callbacks, isDisabled });
  }

  async #changed(owner: Owner, before: OwnerLoggingInfo): Promise<OwnerLoggingInfo> {
    const after = await this.#describe(owner);
    await announce(this.#work, { entity: 'callback' });
    this.#parts.audit.record({
      action: 'updated',
      object: owner.teamId === null ? 'key_logging' : 'team_logging',
      id: owner.teamId ?? owner.keyId,
      before: encodeOwnerLogging(before),
      after: encodeOwnerLogging(after),
    });
    return after;
  }
}

function texts(values: Readonly<Record<string, string | boolean>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(values).map(([name, value]) => {
      if (typeof value === 'string') return [name, value];
      throw unfit(name, 'must be a text');
    }),
  );
}

/** LiteLLM's clients send it as a text, too. */
function yesOrNo(value: string | boolean | undefined): boolean | null {
  if (value === undefined) return null;
  const text = String(value).toLowerCase();
  if (text === 'true' || text === 'false') return text === 'true';
  throw unfit('turn_off_message_logging', 'must be true or false');
}

const unfit = (name: string, why: string): GatewayError =>
  new GatewayError('invalid', 'bad_request_error', `callback_vars.${name} ${why}`, { param: `callback_vars.${name}` });
