import { z } from 'zod';
import { id, label } from '../kernel/fields.ts';
import { operation, roles } from '../kernel/operation.ts';
import { pageFields, pagesFor } from '../kernel/page.ts';
import { answer, wire } from '../kernel/wire.ts';
import { userSorts } from './user.fields.ts';
import type { UserCounts } from './user.list.ts';
import type { UserService } from './user.service.ts';
import { shownUser } from './user.shown.ts';
import { listedUserInfo } from './user.wire.ts';

interface Needs {
  users: UserService;
}

const none: UserCounts = { keys: 0, teams: 0 };

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
    ssoUserIds: z.array(id).max(100).optional().describe('Only users an identity provider knows so'),
    team: label.optional().describe('Only users of this team, by id'),
    organizationIds: z.array(id).max(100).optional().describe('Only users of these organizations, by id'),
    sortBy: z.enum(userSorts).default('created_at').describe('What the list is sorted by'),
    sortOrder: z.enum(['asc', 'desc']).default('asc').describe('In which direction it is sorted'),
  }),
  output: answer({
    users: z.array(answer(listedUserInfo)).describe('The users'),
    total: z
      .int()
      .describe('How many users there are on all pages; an estimate above 10,000 where counting takes long'),
    page: z.int().describe('Which page this is'),
    pageSize: z.int().describe('Users on a page'),
    totalPages: z.int().describe('How many pages there are'),
  }),
  access: 'scoped',
  cli: {
    ...shownUser,
    columns: [...(shownUser.columns ?? []), 'team_count', 'key_count', 'status'],
    headings: { ...shownUser.headings, team_count: 'TEAMS', key_count: 'KEYS' },
    result: 'users',
    pages: { page: 'page', size: 'page_size', total: 'total' },
    completes: { user_ids: 'user' },
    flags: {
      page_size: 'limit',
      user_ids: 'ids',
      user_email: 'email-contains',
      organization_ids: { name: 'orgs', placeholder: 'org,…', completes: 'org' },
      team: { name: 'team', placeholder: 'team', completes: 'team' },
      sso_user_ids: false,
      sort_by: 'sort',
      sort_order: 'order',
    },
    examples: [['The administrators', 'gatewayctl user list --role proxy_admin']],
  },
  run: async ({ users }: Needs, { pageSize: size, ...filter }) => {
    const { users: found, total } = await users.list({ size, ...filter });
    const counts = await users.counts(found);
    const describe = await users.describer(found);
    return {
      users: found.map((user) => {
        const { keys, teams } = counts.get(user.id) ?? none;
        return Object.assign(describe(user), { keyCount: keys, teamCount: teams });
      }),
      total,
      page: filter.page,
      pageSize: size,
      totalPages: pagesFor(total, size),
    };
  },
});

const meanings: Readonly<Record<string, string>> = {
  proxy_admin: 'Administers everything',
  proxy_admin_viewer: 'Sees everything and changes nothing',
  internal_user: 'Calls models, and manages keys of its own',
  internal_user_viewer: 'Sees its own keys and spend, and calls no model',
};

const organizationRoles: Readonly<Record<string, string>> = {
  org_admin: 'Administers an organization; given by organization member add',
};

export const listRoles = operation({
  command: ['user', 'list-roles'],
  route: ['GET', '/user/available_roles'],
  summary: 'List what users can be',
  input: wire({}),
  output: z
    .record(
      z.string(),
      z.object({
        description: z.string().describe('What it may do'),
        ui_label: z.string().describe('The same as its name'),
      }),
    )
    .describe('The roles'),
  access: 'scoped',
  run: () =>
    Promise.resolve(
      Object.fromEntries(
        Object.entries({ ...meanings, ...organizationRoles }).map(([role, description]) => [
          role,
          { description, ui_label: role },
        ]),
      ),
    ),
});

export const userListOperations = [listUsers, listRoles] as const;
