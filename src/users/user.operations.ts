import { z } from 'zod';
import { GatewayError } from '../kernel/errors.ts';
import { type Comparison, comparing, ifThere, isSameValue } from '../kernel/existing.ts';
import { id, label, text } from '../kernel/fields.ts';
import { type CommandLine, operation, roles } from '../kernel/operation.ts';
import { pageFields, pagesFor } from '../kernel/page.ts';
import { answer, wire } from '../kernel/wire.ts';
import type { KeyService } from '../keys/key.service.ts';
import { describeKey, keyInfo } from '../keys/key.wire.ts';
import type { MemberService } from '../teams/member.service.ts';
import type { TeamService } from '../teams/team.service.ts';
import { describeTeam, teamInfo } from '../teams/team.wire.ts';
import type { UserService } from './user.service.ts';
import { describeUser, newUserFields, unservedUserFields, userChanges, userInfo } from './user.wire.ts';

interface Needs {
  users: UserService;
  teams: TeamService;
  members: MemberService;
  keys: KeyService;
  now: Date;
}

const reference = id.describe('The user, by id or e-mail address');

const flags: CommandLine['flags'] = {
  user_id: 'id',
  user_email: 'email',
  user_alias: 'alias',
  user_role: 'role',
  organization_id: 'org',
  models: { name: 'models', placeholder: 'model,…', completes: 'model' },
};

const shown: Partial<CommandLine> = {
  columns: ['user_id', 'user_email', 'user_role', 'organization_id', 'spend', 'max_budget'],
  wide: ['user_alias', 'models', 'created_at', 'created_by'],
  headings: {
    user_id: 'ID',
    user_email: 'EMAIL',
    user_role: 'ROLE',
    user_alias: 'ALIAS',
    organization_id: 'ORG',
    max_budget: 'BUDGET',
  },
  id: 'user_id',
};

const isOf = (userId: unknown): userId is string => typeof userId === 'string';

/** What is said of a new user and stands in other objects than the user. */
const userComparisons: Readonly<Record<string, Comparison<Needs>>> = {
  user_email: comparing(({ wanted, found }) => text(wanted).toLowerCase() === text(found['user_email']).toLowerCase()),
  teams: async ({ field, wanted, found, services: { teams } }) => {
    const { user_id: userId } = found;
    const is = isOf(userId) ? (await teams.of(userId, 1_000)).map(({ id: team }) => team) : [];
    const asked = await Promise.all(
      z
        .array(z.string())
        .parse(wanted)
        .map(async (team) => (await teams.get(team)).id),
    );
    return isSameValue(asked, is) ? [] : [{ field, wanted, is }];
  },
  // A key is made with the user and not later.
  auto_create_key: () => [],
  key_alias: async ({ field, wanted, found, services: { keys } }) => {
    const { user_id: userId } = found;
    if (wanted === null) return [];
    const aliases = isOf(userId) ? (await keys.of({ userId }, 1_000)).map(({ alias }) => alias ?? null) : [];
    return aliases.includes(text(wanted)) ? [] : [{ field, wanted, is: aliases }];
  },
};

export const createUser = operation({
  command: ['user', 'create'],
  aliases: ['new'],
  route: ['POST', '/user/new'],
  summary: 'Create a user',
  description: 'Over HTTP a key of the user is made too unless auto_create_key is false, as LiteLLM does.',
  input: wire({
    ...newUserFields,
    teams: z.array(id).max(100).default([]).describe('Teams the user belongs to from the start, by id or alias'),
    autoCreateKey: z.boolean().default(true).describe('Whether a key of the user is made too'),
    keyAlias: label.nullable().optional().describe('The name of that key'),
  }),
  output: answer({
    key: z.string().nullable().describe('The key, if one was made. It is never shown again'),
    ...userInfo,
  }),
  unserved: [...unservedUserFields, 'team_id'],
  access: 'admin',
  existing: {
    names: ['user_id', 'user_email'],
    find: async ({ users }: Needs, { userId, userEmail }) => {
      const byId = userId ? await ifThere(users.get(userId)) : undefined;
      const user = byId?.id === userId && byId ? byId : userEmail ? await ifThere(users.get(userEmail)) : undefined;
      return user && { key: null, ...describeUser(user) };
    },
    compare: userComparisons,
  },
  cli: {
    ...shown,
    completes: { teams: 'team' },
    flags: { ...flags, auto_create_key: false, key_alias: false },
    fixed: { auto_create_key: false },
    done: ({ user_id: user }) => `User ${text(user)} created`,
    examples: [
      [
        'A user with a budget, in a team',
        'gatewayctl user create --id anna --email anna@example.com --teams platform --max-budget 50',
      ],
    ],
  },
  run: async ({ users, teams, members, keys }: Needs, { autoCreateKey, keyAlias, teams: named, ...fields }) => {
    const user = await users.create(fields);
    for (const team of named) await members.add((await teams.lock(team, 'manager')).team, user);
    const made = autoCreateKey
      ? await keys.generate({ userId: user.id, keyAlias, models: [], metadata: {}, blocked: false })
      : undefined;
    return { key: made?.secret ?? null, ...describeUser(user) };
  },
});

export const listUsers = operation({
  command: ['user', 'list'],
  aliases: ['ls'],
  route: ['GET', '/user/list'],
  summary: 'List users',
  input: wire({
    page: pageFields({ default: 25, max: 100 }).page,
    pageSize: pageFields({ default: 25, max: 100 }).size,
    role: z.enum(roles).optional().describe('Only users with this role'),
    userIds: z.array(id).max(100).optional().describe('Only users with these ids'),
    userEmail: label.optional().describe('Only users whose address contains this'),
    organizationId: label.optional().describe('Only users of this organization'),
    sortBy: z.enum(['user_id', 'created_at']).default('created_at').describe('What the list is sorted by'),
    sortOrder: z.enum(['asc', 'desc']).default('asc').describe('In which direction it is sorted'),
  }),
  output: answer({
    users: z.array(answer(userInfo)).describe('The users'),
    total: z.int().describe('How many users there are on all pages'),
    page: z.int().describe('Which page this is'),
    pageSize: z.int().describe('Users on a page'),
    totalPages: z.int().describe('How many pages there are'),
  }),
  access: 'admin',
  cli: {
    ...shown,
    result: 'users',
    pages: { page: 'page', size: 'page_size', total: 'total' },
    completes: { user_ids: 'user' },
    flags: {
      page_size: 'limit',
      user_ids: 'ids',
      user_email: 'email-contains',
      organization_id: 'org',
      sort_by: 'sort',
      sort_order: 'order',
    },
    examples: [['The administrators', 'gatewayctl user list --role proxy_admin']],
  },
  run: async ({ users }: Needs, { pageSize: size, ...filter }) => {
    const { users: found, total } = await users.list({ size, ...filter });
    return {
      users: found.map(describeUser),
      total,
      page: filter.page,
      pageSize: size,
      totalPages: pagesFor(total, size),
    };
  },
});

export const getUser = operation({
  command: ['user', 'get'],
  aliases: ['info', 'show'],
  route: ['GET', '/user/info'],
  summary: 'Show one user',
  input: wire({ userId: reference }),
  output: answer({
    userId: z.string().describe('Names the user'),
    userInfo: answer(userInfo).describe('The user'),
    keys: z.array(answer(keyInfo)).describe('The newest keys of the user, at most 1,000'),
    teams: z.array(answer(teamInfo)).describe('The teams the user belongs to'),
  }),
  access: 'admin',
  cli: {
    ...shown,
    args: ['user_id'],
    completes: { user_id: 'user' },
    result: 'user_info',
    examples: [['By address', 'gatewayctl user get anna@example.com']],
  },
  run: async ({ users, teams, keys, now }: Needs, { userId }) => {
    const user = await users.get(userId);
    return {
      userId: user.id,
      userInfo: describeUser(user),
      keys: (await keys.of({ userId: user.id }, 1_000)).map((key) => describeKey(key, now)),
      teams: (await teams.withMembers(await teams.of(user.id, 1_000))).map((team) => describeTeam(team, now)),
    };
  },
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
  access: 'admin',
  cli: {
    ...shown,
    args: ['user_id'],
    completes: { user_id: 'user' },
    flags: { ...flags, user_id: false },
    result: 'data',
    done: ({ user_id: user }) => `User ${text(user)} updated`,
    examples: [['Make an administrator', 'gatewayctl user update anna --role proxy_admin']],
  },
  run: async ({ users }: Needs, { userId, userEmail, ...changes }) => {
    const named = userId ?? userEmail;
    if (!named)
      throw new GatewayError('invalid', 'invalid_request_error', 'user_id: no user was named', { param: 'user_id' });
    const user = await users.update(named, { ...changes, userEmail: userId === undefined ? undefined : userEmail });
    return { userId: user.id, data: describeUser(user) };
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
  access: 'admin',
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
    const deletedUsers = [];
    const deletedKeys = [];
    for (const user of await users.lockAll(userIds)) {
      if (!cascade) await keys.refuseTeamKeysOf(user.id);
      deletedKeys.push(...(await keys.removeOf({ userId: user.id })));
      deletedUsers.push(describeUser(user));
      await users.remove(user);
    }
    return { deletedUsers, deletedKeys };
  },
});

export const userOperations = [createUser, listUsers, getUser, updateUser, deleteUsers] as const;
