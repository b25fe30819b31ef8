import { z } from 'zod';
import { lifetime } from '../kernel/duration.ts';
import { GatewayError } from '../kernel/errors.ts';
import { ifThere } from '../kernel/existing.ts';
import { fieldNotAllowed, id, label, text } from '../kernel/fields.ts';
import { usd } from '../kernel/money.ts';
import { operation } from '../kernel/operation.ts';
import { answer, wire } from '../kernel/wire.ts';
import { memberRole } from '../teams/team.wire.ts';
import {
  aloneInfo,
  describeAlone,
  describeNew,
  describeWhole,
  type Needs,
  newUserInfo,
  wholeInfo,
} from './user.answers.ts';
import { userComparisons } from './user.compare.ts';
import type { User } from './user.entity.ts';
import { newUserFields, unservedUserFields, userChanges } from './user.fields.ts';
import { shownUser as shown, userFlags as flags } from './user.shown.ts';
import { userInfo } from './user.wire.ts';

const reference = id.describe('The user, by id or e-mail address');

/** A team of a new user with what it may do and spend there, as LiteLLM takes it. */
const newMembership = wire({
  teamId: id.describe('The team, by id or alias'),
  userRole: memberRole.default('user').describe('What the user may do in the team'),
  maxBudgetInTeam: usd.nullable().optional().describe('US dollars the user may spend in the team'),
});

/** A personal key acts as its user everywhere, and so beyond the organization its maker administers. */
const keyOfAnother = () =>
  new GatewayError('forbidden', 'field_not_allowed', 'auto_create_key: only administrators make keys of other users', {
    param: 'auto_create_key',
    hint: 'Send auto_create_key: false; the user, or an administrator, makes the key.',
  });

/** Whoever is no administrator puts users into organizations of its own only. */
async function joinOrganization({ users, authority }: Needs, user: User, organizationId: string): Promise<void> {
  if (!(await authority.administersOrganization(organizationId))) {
    throw fieldNotAllowed('organizations', `you do not administer ${organizationId}`);
  }
  await users.joinOrganization(user, organizationId);
}

export const createUser = operation({
  command: ['user', 'create'],
  aliases: ['new'],
  route: ['POST', '/user/new'],
  summary: 'Create a user',
  description: 'Over HTTP a key of the user is made too unless auto_create_key is false, as LiteLLM does.',
  input: wire({
    ...newUserFields,
    teams: z
      .array(z.union([id, newMembership]))
      .max(100)
      .default([])
      .describe('Teams the user belongs to from the start, by id or alias'),
    teamId: id.nullable().optional().describe('One such team'),
    organizations: z
      .array(id)
      .max(100)
      .default([])
      .describe('Organizations the user is a member of from the start, by id'),
    autoCreateKey: z.boolean().default(true).describe('Whether a key of the user is made too'),
    keyAlias: label.nullable().optional().describe('The name of that key'),
    duration: lifetime.optional().describe('How long that key works; the user has no end'),
  }),
  output: answer(newUserInfo),
  unserved: unservedUserFields.filter((name) => name !== 'duration'),
  access: 'scoped',
  existing: {
    names: ['user_id', 'user_email'],
    find: async (needs: Needs, { userId, userEmail }) => {
      const { users } = needs;
      const byId = userId ? await ifThere(users.get(userId)) : undefined;
      const user = byId?.id === userId && byId ? byId : userEmail ? await ifThere(users.get(userEmail)) : undefined;
      return user && describeNew(needs, user);
    },
    compare: userComparisons,
  },
  cli: {
    ...shown,
    completes: { teams: 'team' },
    flags: {
      ...flags,
      organizations: { name: 'orgs', placeholder: 'org,…', completes: 'org' },
      auto_create_key: false,
      key_alias: false,
      duration: false,
    },
    fixed: { auto_create_key: false },
    done: ({ user_id: user }) => `User ${text(user)} created`,
    examples: [
      [
        'A user with a budget, in a team',
        'gatewayctl user create --id anna --email anna@example.com --teams platform --max-budget 50',
      ],
    ],
  },
  run: async (needs: Needs, { autoCreateKey, keyAlias, duration, teams: named, teamId, organizations, ...fields }) => {
    const { users, teams, members, keys, authority } = needs;
    const user = await users.create(fields);
    if (autoCreateKey && !authority.isAdmin) throw keyOfAnother();
    for (const organization of organizations) await joinOrganization(needs, user, organization);
    for (const each of [...named, ...(teamId ? [teamId] : [])]) {
      const { teamId: name, userRole, maxBudgetInTeam } = typeof each === 'string' ? { teamId: each } : each;
      const { team } = await teams.lock(name, 'manager');
      await members.add(team, user, { role: userRole, maxBudgetInTeam });
    }
    const made = autoCreateKey
      ? await keys.generate({ userId: user.id, keyAlias, duration, models: [], metadata: {}, blocked: false })
      : undefined;
    return describeNew(needs, user, made);
  },
});

export const getUser = operation({
  command: ['user', 'get'],
  aliases: ['info', 'show'],
  route: ['GET', '/user/info'],
  summary: 'Show one user',
  input: wire({ userId: reference.optional() }),
  output: answer(wholeInfo),
  access: 'scoped',
  cli: {
    ...shown,
    args: ['user_id'],
    completes: { user_id: 'user' },
    result: 'user_info',
    examples: [['By address', 'gatewayctl user get anna@example.com']],
  },
  run: async (needs: Needs, { userId }) => describeWhole(needs, userId),
});

/** LiteLLM's light variant: the user without keys, and its teams by id. */
export const getUserAlone = operation({
  command: ['user', 'get-alone'],
  route: ['GET', '/v2/user/info'],
  summary: 'Show one user without keys',
  input: wire({ userId: reference.optional() }),
  output: answer(aloneInfo),
  access: 'scoped',
  run: async (needs: Needs, { userId }) => describeAlone(needs, userId),
});

export const updateUser = operation({
  command: ['user', 'update'],
  route: ['POST', '/user/update'],
  summary: 'Change a user',
  description:
    'What is not named stays as it is; `none` removes a limit. Over HTTP user_email names the user when user_id is absent.',
  input: wire({ userId: reference.optional(), ...userChanges }),
  output: answer({
    userId: z.string().describe('Names the user'),
    data: answer(userInfo).describe('The user as it is now'),
  }),
  unserved: unservedUserFields,
  access: 'scoped',
  cli: {
    ...shown,
    args: ['user_id'],
    completes: { user_id: 'user' },
    flags: { ...flags, user_id: false },
    result: 'data',
    done: ({ user_id: user }) => `User ${text(user)} updated`,
    examples: [['Make an administrator', 'gatewayctl user update anna --role proxy_admin']],
  },
  run: async ({ users }: Needs, { userId, ...changes }) => {
    const user = await users.updateNamed(userId, changes);
    return { userId: user.id, data: await users.describe(user) };
  },
});

const heldKeys = z.array(z.looseObject({ team_id: z.string().nullable() })).catch([]);

export const deleteUsers = operation({
  command: ['user', 'delete'],
  aliases: ['rm'],
  route: ['POST', '/user/delete'],
  summary: 'Delete users and their personal keys',
  description:
    'A user that holds keys of a team is not deleted unless cascade says so: somebody may still work with them.',
  input: wire({
    userIds: z.array(reference).min(1).max(100).describe('The users, by id or e-mail address'),
    cascade: z.boolean().default(false).describe('Also delete keys the users hold in teams'),
  }),
  output: answer({
    deletedUsers: z.array(answer(userInfo)).describe('The users as they were'),
    deletedKeys: z.array(z.string()).describe('The hashes of the keys that went with them'),
  }),
  access: 'scoped',
  cli: {
    ...shown,
    args: ['user_ids'],
    completes: { user_ids: 'user' },
    result: 'deleted_users',
    confirm: 'severe',
    atStake: {
      look: 'user get',
      field: 'user_id',
      says: ({ keys, teams }, { cascade }) => {
        const gone = heldKeys.parse(keys).filter(({ team_id: team }) => cascade === true || team === null);
        const left = Array.isArray(teams) ? teams.length : 0;
        return `deletes ${gone.length} ${gone.length === 1 ? 'key' : 'keys'} and ${left} ${left === 1 ? 'membership' : 'memberships'}; what was spent stays in the reports`;
      },
    },
    done: ({ deleted_users: users, deleted_keys: keys }) =>
      `${Array.isArray(users) ? users.length : 0} deleted, with ${Array.isArray(keys) ? keys.length : 0} keys`,
    examples: [['In a script', 'gatewayctl user delete anna --confirm anna']],
  },
  run: async ({ users, keys }: Needs, { userIds, cascade }) => {
    const gone = await users.lockAll(userIds);
    const deletedUsers = gone.map(await users.describer(gone));
    const deletedKeys = [];
    for (const user of gone) {
      if (!cascade) await keys.refuseTeamKeysOf(user.id);
      deletedKeys.push(...(await keys.removeOf({ userId: user.id })));
      await users.remove(user);
    }
    return { deletedUsers, deletedKeys };
  },
});

export const userOperations = [createUser, getUser, getUserAlone, updateUser, deleteUsers] as const;
