import { id, text } from '../kernel/fields.ts';
import { operation } from '../kernel/operation.ts';
import { answer, wire } from '../kernel/wire.ts';
import type { UserService } from './user.service.ts';
import { shownUser } from './user.shown.ts';
import { userInfo } from './user.wire.ts';

interface Needs {
  users: UserService;
}

/** LiteLLM blocks a user by an update; a command of its own is what one looks for when it has to be quick. */
const switching = (verb: 'block' | 'unblock', summary: string) =>
  operation({
    command: ['user', verb],
    route: ['POST', `/user/${verb}`],
    summary,
    description:
      verb === 'block'
        ? 'Every key of the user is refused, those it holds in teams too, until the user is unblocked.'
        : 'Keys that are blocked themselves stay so.',
    input: wire({ userId: id.describe('The user, by id or e-mail address') }),
    output: answer(userInfo),
    access: 'scoped',
    cli: {
      ...shownUser,
      args: ['user_id'],
      completes: { user_id: 'user' },
      done: ({ user_id: user }) => `User ${text(user)} ${verb}ed`,
      examples: [['By address', `gatewayctl user ${verb} anna@example.com`]],
    },
    run: async ({ users }: Needs, { userId }) =>
      users.describe(await users.update(userId, { blocked: verb === 'block' })),
  });

export const blockUser = switching('block', 'Refuse every key of a user');
export const unblockUser = switching('unblock', 'Accept the keys of a user again');

export const userStateOperations = [blockUser, unblockUser] as const;
