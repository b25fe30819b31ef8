import { z } from 'zod';
import { stampInfo } from '../kernel/fields.ts';
import { answer, timestamp } from '../kernel/wire.ts';
import type { Invitation } from './invitation.entity.ts';

export const invitationInfo = {
  id: z.string().describe('Names the invitation'),
  userId: z.string().describe('The user who is invited'),
  isAccepted: z.boolean().describe('Whether it was accepted'),
  acceptedAt: timestamp.nullable().describe('When it was accepted'),
  expiresAt: timestamp.describe('Until when it can be accepted'),
  ...stampInfo,
};

export const describeInvitation = (invitation: Invitation) => ({
  id: invitation.id,
  userId: invitation.userId,
  isAccepted: invitation.isAccepted,
  acceptedAt: invitation.acceptedAt ?? null,
  expiresAt: invitation.expiresAt,
  createdAt: invitation.createdAt,
  createdBy: invitation.createdBy,
  updatedAt: invitation.updatedAt,
  updatedBy: invitation.updatedBy,
});

const row = answer(invitationInfo);

/** An invitation as it travels: what the audit log keeps. */
export const encodeInvitation = (invitation: Invitation) => row.encode(describeInvitation(invitation));
