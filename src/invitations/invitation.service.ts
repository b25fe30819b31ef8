import { randomUUID } from 'node:crypto';
import { LockMode } from '@mikro-orm/core';
import type { AuditService } from '../audit/audit.service.ts';
import { createStamp, updateStamp, type Work } from '../db/work.ts';
import { after } from '../kernel/duration.ts';
import { GatewayError } from '../kernel/errors.ts';
import { Invitation } from './invitation.entity.ts';
import { encodeInvitation } from './invitation.wire.ts';

/** As long as LiteLLM's. */
const LIFE = { count: 7, unit: 'd' } as const;

/** No process holds invitations in memory, so none of their changes is announced. */
export class InvitationService {
  readonly #work: Work;
  readonly #audit: AuditService;

  constructor(work: Work, audit: AuditService) {
    this.#work = work;
    this.#audit = audit;
  }

  async create(userId: string): Promise<Invitation> {
    const { em, now } = this.#work;
    const invitation = em.create(Invitation, {
      id: randomUUID(),
      userId,
      isAccepted: false,
      acceptedAt: null,
      expiresAt: after(now, LIFE),
      ...createStamp(this.#work),
    });
    await em.flush();
    this.#audit.record({
      action: 'created',
      object: 'invitation',
      id: invitation.id,
      after: encodeInvitation(invitation),
    });
    return invitation;
  }

  /** The newest that the user can still accept. */
  async openOf(userId: string): Promise<Invitation | undefined> {
    const { em, now } = this.#work;
    const where = { userId, isAccepted: false, expiresAt: { $gt: now } };
    const [invitation] = await em.find(Invitation, where, { orderBy: { createdAt: 'desc', id: 'asc' }, limit: 1 });
    return invitation;
  }

  /** @throws GatewayError 404 */
  async get(id: string): Promise<Invitation> {
    const invitation = await this.#work.em.findOne(Invitation, { id });
    if (invitation) return invitation;
    throw new GatewayError('notFound', 'not_found_error', `Invitation not found, passed invitation_id=${id}`, {
      param: 'invitation_id',
    });
  }

  /** @throws GatewayError 400 when its time is over */
  async update(id: string, isAccepted: boolean): Promise<Invitation> {
    const { em, now } = this.#work;
    const invitation = await this.#lock(id);
    if (isAccepted && invitation.expiresAt <= now) {
      throw new GatewayError('invalid', 'invitation_expired', `Invitation ${id} has expired`, {
        param: 'invitation_id',
        hint: `Make a new one: gatewayctl invitation create ${invitation.userId}`,
      });
    }
    const before = encodeInvitation(invitation);
    em.assign(invitation, { isAccepted, acceptedAt: isAccepted ? now : null, ...updateStamp(this.#work) });
    await em.flush();
    this.#audit.record({ action: 'updated', object: 'invitation', id, before, after: encodeInvitation(invitation) });
    return invitation;
  }

  async remove(id: string): Promise<Invitation> {
    const invitation = await this.#lock(id);
    this.#audit.record({ action: 'deleted', object: 'invitation', id, before: encodeInvitation(invitation) });
    this.#work.em.remove(invitation);
    await this.#work.em.flush();
    return invitation;
  }

  async #lock(id: string): Promise<Invitation> {
    await this.get(id);
    return this.#work.em.findOneOrFail(Invitation, { id }, { lockMode: LockMode.PESSIMISTIC_WRITE, refresh: true });
  }
}
