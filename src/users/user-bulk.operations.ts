import { z } from 'zod';
import { GatewayError } from '../kernel/errors.ts';
import { id } from '../kernel/fields.ts';
import { operation } from '../kernel/operation.ts';
import { answer, wire } from '../kernel/wire.ts';
import { userChanges } from './user.fields.ts';
import type { UserService } from './user.service.ts';
import { userInfo } from './user.wire.ts';

interface Needs {
  users: UserService;
}

const mostUsers = 500;

const oneOf = () =>
  new GatewayError('invalid', 'invalid_request_error', 'users: give either users, or all_users with user_updates', {
    param: 'users',
    hint: 'Name the users with their changes, or say all_users and user_updates.',
  });

const result = {
  userId: z.string().nullable().describe('The user; as it was named where there is none'),
  userEmail: z.string().nullable().describe('The address of the user'),
  success: z.boolean().describe('Whether it was changed'),
  error: z.string().nullable().describe('Why it was not changed'),
  updatedUser: answer(userInfo).nullable().describe('The user as it is now'),
};

export const updateUsers = operation({
  command: ['user', 'bulk-update'],
  route: ['POST', '/user/bulk_update'],
  summary: 'Change several users, each by itself',
  description: 'One that cannot be changed does not keep the others from it. At most 500 at a time.',
  input: wire({
    users: z
      .array(wire({ userId: id.nullable().optional().describe('The user, by id or e-mail address'), ...userChanges }))
      .min(1)
      .max(mostUsers)
      .optional()
      .describe('The users, each with its changes, such as {"user_id": "anna", "max_budget": 5}'),
    allUsers: z.boolean().default(false).describe('Change every user, in place of users'),
    userUpdates: wire(userChanges).optional().describe('What to change with every user'),
  }),
  output: answer({
    results: z.array(answer(result)).describe('What became of each, in the order they were named'),
    totalRequested: z.int().describe('How many users were to be changed'),
    successfulUpdates: z.int().describe('How many were changed'),
    failedUpdates: z.int().describe('How many stay as they were'),
  }),
  access: 'admin',
  cli: {
    result: 'results',
    columns: ['user_id', 'success', 'error'],
    id: 'user_id',
    done: ({ successful_updates: done, failed_updates: failed }) => `${String(done)} updated, ${String(failed)} failed`,
    examples: [
      ['A budget for everybody', `gatewayctl user bulk-update --all-users --user-updates '{"max_budget": 20}'`],
    ],
  },
  run: async ({ users }: Needs, { users: named, allUsers, userUpdates }) => {
    if (allUsers === (named !== undefined) || allUsers !== (userUpdates !== undefined)) throw oneOf();
    const everybody = async () =>
      (await users.all(mostUsers)).map(({ id: userId }) => Object.assign({ userId }, userUpdates));
    const updates = named ?? (await everybody());
    const outcomes = await users.updateEach(updates);
    const describe = await users.describer(outcomes.flatMap((outcome) => ('done' in outcome ? [outcome.done] : [])));
    const results = outcomes.map((outcome, index) => {
      const { userId, userEmail } = updates[index] ?? {};
      if ('failure' in outcome) {
        const { message } = outcome.failure;
        const email = userId ? null : (userEmail ?? null);
        return { userId: userId ?? null, userEmail: email, success: false, error: message, updatedUser: null };
      }
      const updatedUser = describe(outcome.done);
      return { userId: updatedUser.userId, userEmail: updatedUser.userEmail, success: true, error: null, updatedUser };
    });
    const successfulUpdates = results.filter(({ success }) => success).length;
    const totalRequested = results.length;
    return { results, totalRequested, successfulUpdates, failedUpdates: totalRequested - successfulUpdates };
  },
});
