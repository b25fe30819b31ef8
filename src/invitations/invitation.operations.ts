import { z } from 'zod';
import { comparing, ifThere } from '../kernel/existing.ts';
import { id, text } from '../kernel/fields.ts';
import { type CommandLine, operation } from '../kernel/operation.ts';
import { answer, wire } from '../kernel/wire.ts';
import type { UserService } from '../users/user.service.ts';
import type { InvitationService } from './invitation.service.ts';
import { describeInvitation, invitationInfo } from './invitation.wire.ts';

interface Needs {
  invitations: InvitationService;
  users: UserService;
}

const reference = id.describe('The invitation, by id');

const shown: Partial<CommandLine> = {
  columns: ['id', 'user_id', 'is_accepted', 'expires_at'],
  wide: ['accepted_at', 'created_at', 'created_by'],
  headings: { user_id: 'USER', is_accepted: 'ACCEPTED', expires_at: 'EXPIRES' },
  id: 'id',
};

export const createInvitation = operation({
  command: ['invitation', 'create'],
  aliases: ['new'],
  route: ['POST', '/invitation/new'],
  summary: 'Write down that a user is invited, for seven days',
  description:
    'A record for programs and scripts: no mail is sent, there is no web page to accept it on, and it opens nothing by itself.',
  input: wire({ userId: id.describe('The user, by id or e-mail address') }),
  output: answer(invitationInfo),
  access: 'admin',
  existing: {
    names: ['user_id'],
    find: async ({ invitations, users }: Needs, { userId }) => {
      const user = await ifThere(users.get(userId));
      const open = user && (await invitations.openOf(user.id));
      return open && describeInvitation(open);
    },
    compare: {
      user_id: comparing(async ({ wanted, found, services: { users } }) =>
        typeof wanted === 'string' ? (await users.get(wanted)).id === found['user_id'] : false,
      ),
    },
  },
  cli: {
    ...shown,
    args: ['user_id'],
    completes: { user_id: 'user' },
    done: ({ user_id: user }) => `Invitation of user ${text(user)} created`,
    examples: [['The id alone, for a script', 'gatewayctl invitation create anna -q']],
  },
  run: async ({ invitations, users }: Needs, { userId }) =>
    describeInvitation(await invitations.create((await users.get(userId)).id)),
});

export const getInvitation = operation({
  command: ['invitation', 'get'],
  aliases: ['info', 'show'],
  route: ['GET', '/invitation/info'],
  summary: 'Show one invitation',
  input: wire({ invitationId: reference }),
  output: answer(invitationInfo),
  access: 'admin',
  cli: {
    ...shown,
    args: ['invitation_id'],
    completes: { invitation_id: 'invitation' },
    examples: [['Whether it was accepted', 'gatewayctl invitation get 5f0c2a9e --json']],
  },
  run: async ({ invitations }: Needs, { invitationId }) => describeInvitation(await invitations.get(invitationId)),
});

/** For the program that lets the user in: there is no command because no person says it of somebody else. */
export const updateInvitation = operation({
  command: ['invitation', 'update'],
  route: ['POST', '/invitation/update'],
  summary: 'Say whether an invitation was accepted',
  input: wire({
    invitationId: reference,
    isAccepted: z.boolean().describe('Whether it was accepted'),
  }),
  output: answer(invitationInfo),
  access: 'admin',
  run: async ({ invitations }: Needs, { invitationId, isAccepted }) =>
    describeInvitation(await invitations.update(invitationId, isAccepted)),
});

export const deleteInvitation = operation({
  command: ['invitation', 'delete'],
  aliases: ['rm'],
  route: ['POST', '/invitation/delete'],
  summary: 'Delete an invitation',
  input: wire({ invitationId: reference }),
  output: answer(invitationInfo),
  access: 'admin',
  cli: {
    ...shown,
    args: ['invitation_id'],
    completes: { invitation_id: 'invitation' },
    confirm: 'moderate',
    done: ({ user_id: user }) => `Invitation of user ${text(user)} deleted`,
    examples: [['In a script', 'gatewayctl invitation delete 5f0c2a9e --yes']],
  },
  run: async ({ invitations }: Needs, { invitationId }) => describeInvitation(await invitations.remove(invitationId)),
});

export const invitationOperations = [createInvitation, getInvitation, updateInvitation, deleteInvitation] as const;
