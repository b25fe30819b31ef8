import { randomUUID } from 'node:crypto';
import { LockMode } from '@mikro-orm/core';
import type { AuditService } from '../audit/audit.service.ts';
import { keepValue } from '../credentials/credential.values.ts';
import { announce } from '../db/notify.ts';
import { createStamp, updateStamp, type Work } from '../db/work.ts';
import type { Vault } from '../kernel/encryption.ts';
import { GatewayError } from '../kernel/errors.ts';
import type { TeamService } from '../teams/team.service.ts';
import type { CallbackType } from './callback-settings.ts';
import { DisabledLogging, TeamCallback } from './team-callback.entity.ts';
import { variablePlace } from './team-callback.queries.ts';
import { teamTarget } from './team-callback.target.ts';
import { describeTeamLogging, encodeTeamLogging, type TeamLoggingInfo } from './team-callback.wire.ts';

export interface NewTeamCallback {
  callbackName: string;
  callbackType?: CallbackType | null | undefined;
  callbackVars: Record<string, string | boolean>;
}

interface Parts {
  readonly audit: AuditService;
  readonly vault: Vault;
  readonly teams: TeamService;
}

/** What teams want of their own calls. Variables go in, and come out to where they lead alone. */
export class TeamCallbackService {
  readonly #work: Work;
  readonly #parts: Parts;

  constructor(work: Work, parts: Parts) {
    this.#work = work;
    this.#parts = parts;
  }

  async get(reference: string): Promise<TeamLoggingInfo> {
    return this.#describe((await this.#parts.teams.get(reference)).id);
  }

  /** Puts it in the place of the team's callback of that name, and has the team's calls reported again. */
  async set(
    reference: string,
    { callbackName, callbackType, callbackVars }: NewTeamCallback,
  ): Promise<TeamLoggingInfo> {
    const { em } = this.#work;
    const teamId = await this.#lock(reference);
    const before = await this.#describe(teamId);
    const { turn_off_message_logging: off, ...rest } = callbackVars;
    const values = texts(rest);
    // Refused now, and not when a call is to be reported.
    teamTarget(callbackName, values);
    const found = await em.findOne(TeamCallback, { teamId, callbackName });
    const id = found?.id ?? randomUUID();
    const fields = {
      callbackType: callbackType ?? ('success_and_failure' as const),
      callbackVars: Object.fromEntries(
        Object.entries(values).map(([name, value]) => [
          name,
          keepValue(this.#parts.vault, value, variablePlace(id, name)),
        ]),
      ),
      turnOffMessageLogging: yesOrNo(off),
    };
    if (found) em.assign(found, { ...fields, ...updateStamp(this.#work) });
    else em.create(TeamCallback, { id, teamId, callbackName, ...fields, ...createStamp(this.#work) });
    await em.nativeDelete(DisabledLogging, { teamId });
    await em.flush();
    return this.#changed(teamId, before);
  }

  /** Nobody is told of the team's calls any more, whatever its callbacks were. */
  async disable(reference: string): Promise<TeamLoggingInfo> {
    const { em } = this.#work;
    const teamId = await this.#lock(reference);
    const before = await this.#describe(teamId);
    await em.nativeDelete(TeamCallback, { teamId });
    if (!before.isLoggingDisabled) {
      const { createdAt, createdBy } = createStamp(this.#work);
      em.create(DisabledLogging, { teamId, createdAt, createdBy });
    }
    await em.flush();
    return this.#changed(teamId, before);
  }

  /** Changes of one team come one after the other. */
  async #lock(reference: string): Promise<string> {
    const { id } = await this.#parts.teams.lookup.lock(reference);
    return id;
  }

  async #describe(teamId: string): Promise<TeamLoggingInfo> {
    const { em } = this.#work;
    const options = { orderBy: { callbackName: 'asc' }, lockMode: LockMode.NONE, refresh: true } as const;
    const callbacks = await em.find(TeamCallback, { teamId }, options);
    const isDisabled = (await em.count(DisabledLogging, { teamId })) > 0;
    return describeTeamLogging(teamId, { callbacks, isDisabled });
  }

  async #changed(teamId: string, before: TeamLoggingInfo): Promise<TeamLoggingInfo> {
    const after = await this.#describe(teamId);
    await announce(this.#work, { entity: 'callback' });
    this.#parts.audit.record({
      action: 'updated',
      object: 'team_logging',
      id: teamId,
      before: encodeTeamLogging(before),
      after: encodeTeamLogging(after),
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
