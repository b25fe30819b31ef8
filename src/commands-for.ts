import type { Services } from './app.ts';
import type { Deps } from './cli/run.ts';
import { nounNamed } from './cli/nouns.ts';
import type { AnyOperation } from './kernel/operation.ts';
import type { Runtime } from './runtime.ts';

type Load = () => Promise<readonly AnyOperation<Services>[]>;

/** What a noun has spent day by day: commands of the noun that are made elsewhere. */
const activityOf = async (noun: string): Promise<readonly AnyOperation<Services>[]> =>
  (await import('./spend/activity.operations.ts')).activityOperations.filter(({ command: [first] }) => first === noun);

const labelActivityOf = async (noun: string): Promise<readonly AnyOperation<Services>[]> =>
  (await import('./spend/label-activity.operations.ts')).labelActivityOperations.filter(
    ({ command: [first] }) => first === noun,
  );

/** The operations of each noun. One that is not here is a command all the same, and only starts more slowly. */
export const loaders: Readonly<Record<string, Load>> = {
  key: async () => {
    const [{ keyOperations }, { keyCallbackOperations }] = await Promise.all([
      import('./keys/key.operations.ts'),
      import('./callbacks/owner-callback.operations.ts'),
    ]);
    return [...keyOperations, ...keyCallbackOperations];
  },
  team: async () => {
    const [team, list, settings, member, callback, activity] = await Promise.all([
      import('./teams/team.operations.ts'),
      import('./teams/team-list.operations.ts'),
      import('./teams/team-settings.operations.ts'),
      import('./teams/member.operations.ts'),
      import('./callbacks/owner-callback.operations.ts'),
      activityOf('team'),
    ]);
    return [
      ...team.teamOperations,
      ...list.teamListOperations,
      ...settings.teamSettingsOperations,
      ...member.memberOperations,
      ...callback.teamCallbackOperations,
      ...activity,
    ];
  },
  user: async () => {
    const [{ userOperations }, { userListOperations }, { userStateOperations }, { updateUsers }, activity] =
      await Promise.all([
        import('./users/user.operations.ts'),
        import('./users/user-list.operations.ts'),
        import('./users/user-state.operations.ts'),
        import('./users/user-bulk.operations.ts'),
        activityOf('user'),
      ]);
    return [...userOperations, ...userListOperations, ...userStateOperations, updateUsers, ...activity];
  },
  org: async () => {
    const [{ organizationOperations }, { organizationMemberOperations }, activity] = await Promise.all([
      import('./organizations/organization.operations.ts'),
      import('./organizations/member.operations.ts'),
      activityOf('org'),
    ]);
    return [...organizationOperations, ...organizationMemberOperations, ...activity];
  },
  customer: async () => {
    const [{ customerOperations }, activity] = await Promise.all([
      import('./customers/customer.operations.ts'),
      labelActivityOf('customer'),
    ]);
    return [...customerOperations, ...activity];
  },
  budget: async () => {
    const [{ budgetOperations }, { simulateBudget }] = await Promise.all([
      import('./budgets/budget.operations.ts'),
      import('./spend/simulate.operations.ts'),
    ]);
    return [...budgetOperations, simulateBudget];
  },
  tag: async () => {
    const [{ tagOperations }, activity] = await Promise.all([
      import('./tags/tag.operations.ts'),
      labelActivityOf('tag'),
    ]);
    return [...tagOperations, ...activity];
  },
  invitation: async () => (await import('./invitations/invitation.operations.ts')).invitationOperations,
  model: async () => (await import('./models/model.operations.ts')).modelOperations,
  'access-group': async () => (await import('./models/access-group.operations.ts')).accessGroupOperations,
  credential: async () => (await import('./credentials/credential.operations.ts')).credentialOperations,
  spend: async () => {
    const [{ spendOperations }, { bodyOperations }] = await Promise.all([
      import('./spend/spend.operations.ts'),
      import('./callbacks/body.operations.ts'),
    ]);
    return [...spendOperations, ...bodyOperations];
  },
  callback: async () => [(await import('./callbacks/callback.operations.ts')).listCallbacks],
  explain: async () => [(await import('./explain/explain.operations.ts')).explain],
  audit: async () => (await import('./audit/audit.operations.ts')).auditOperations,
};

/** The commands of a noun that are no operations. */
const commandsOf = async (word: string) =>
  nounNamed(word) === 'spend' ? (await import('./spend-commands.ts')).spendCommands : [];

const whole: Load = async () => (await import('./operations.ts')).operations;

/**
 * The commands that a line can mean. One that begins with a noun means one of that noun's, and making the schemas of all
 * the others takes twice as long as Node does to start; any other line gets everything there is.
 */
export async function commandsFor(
  [word = '']: readonly string[],
  runtime: () => Runtime,
): Promise<Pick<Deps<Services>, 'operations' | 'commands' | 'whole'>> {
  if (word === 'top' || word === 'tail') {
    return { operations: [], commands: (await import('./live-commands.ts')).liveCommands(runtime), whole };
  }
  const load = loaders[nounNamed(word) ?? ''];
  if (load) {
    return { operations: await load(), commands: await commandsOf(word), whole };
  }
  const [{ operations }, { localCommands }] = await Promise.all([import('./operations.ts'), import('./commands.ts')]);
  return { operations, commands: localCommands(runtime) };
}
