import { defineEntity, p } from '@mikro-orm/core';

const InvitationSchema = defineEntity({
  name: 'Invitation',
  tableName: 'invitations',
  properties: {
    id: p.text().primary(),
    userId: p.text(),
    isAccepted: p.boolean(),
    acceptedAt: p.datetime().nullable(),
    expiresAt: p.datetime(),
    createdAt: p.datetime(),
    createdBy: p.text(),
    updatedAt: p.datetime(),
    updatedBy: p.text(),
  },
});

/** That a user was invited, and whether that was accepted: a record for scripts, which opens nothing by itself. */
export class Invitation extends InvitationSchema.class {}
InvitationSchema.setClass(Invitation);
