import { z } from 'zod';
import { ifThere } from '../kernel/existing.ts';
import { id, label, text } from '../kernel/fields.ts';
import { operation } from '../kernel/operation.ts';
import { describePage, pageInfo, pageInput } from '../kernel/page.ts';
import { answer, wire } from '../kernel/wire.ts';
import {
  describeAll,
  describeOne,
  describeWhole,
  flags,
  type Needs,
  ROWS_AT_MOST,
  shown,
  shownWithSizes,
  sizedInfo,
  wholeInfo,
} from './organization.answers.ts';
import type { Organization } from './organization.entity.ts';
import { newOrganizationFields, organizationChanges, organizationInfo } from './organization.wire.ts';

const reference = id.describe('The organization, by id or alias');

const unserved = ['object_permission'] as const;

const nameOf = ({ organization_alias: alias }: Record<string, unknown>) => text(alias);

export const createOrganization = operation({
  command: ['org', 'create'],
  aliases: ['new'],
  route: ['POST', '/organization/new'],
  summary: 'Create an organization',
  input: wire(newOrganizationFields),
  output: answer(organizationInfo),
  unserved,
  access: 'admin',
  existing: {
    names: ['organization_id', 'organization_alias'],
    find: async (needs: Needs, { organizationId, organizationAlias }) => {
      const byId = organizationId ? await ifThere(needs.organizations.get(organizationId)) : undefined;
      // What is given as an id must not find another organization by its alias, nor the other way round.
      if (byId && byId.id === organizationId) return describeOne(needs, byId);
      const byAlias = await ifThere(needs.organizations.get(organizationAlias));
      return byAlias && byAlias.alias === organizationAlias ? describeOne(needs, byAlias) : undefined;
    },
  },
  cli: {
    ...shown,
    flags,
    done: (organization) => `Organization ${nameOf(organization)} created`,
    examples: [
      ['With a budget for every month', 'gatewayctl org create --alias acme --max-budget 5000 --budget-duration 1mo'],
    ],
  },
  run: async (needs: Needs, fields) => describeOne(needs, await needs.organizations.create(fields)),
});

export const listOrganizations = operation({
  command: ['org', 'list'],
  aliases: ['ls'],
  route: ['GET', '/v2/organization/list'],
  summary: 'List organizations',
  description: 'All of them to administrators, to others those they belong to.',
  input: wire({
    ...pageInput,
    orgId: label.optional().describe('Only the organization with this id'),
    orgAlias: label.optional().describe('Only the organization with this alias'),
  }),
  output: answer({
    organizations: z.array(answer(sizedInfo)).describe('The organizations, the newest first'),
    ...pageInfo,
  }),
  access: 'scoped',
  cli: {
    ...shownWithSizes,
    result: 'organizations',
    pages: { page: 'page', size: 'page_size', total: 'total' },
    flags: { page_size: 'limit', org_id: 'id', org_alias: 'alias' },
    examples: [['With their limits', 'gatewayctl org list -o wide']],
  },
  run: async (needs: Needs, { page, pageSize, ...filter }) => {
    const found = await needs.organizations.list({ page, size: pageSize, ...filter });
    return {
      organizations: await describeAll(needs, found),
      ...describePage(await needs.organizations.count(filter), { page, pageSize }),
    };
  },
});

/** LiteLLM's list: no pages. */
export const listAllOrganizations = operation({
  command: ['org', 'list-all'],
  route: ['GET', '/organization/list'],
  summary: 'List organizations without pages',
  description: 'The newest 1,000; /v2/organization/list has pages.',
  input: wire({
    orgId: label.optional().describe('Only the organization with this id'),
    orgAlias: label.optional().describe('Only the organization with this alias'),
  }),
  output: z.array(answer(sizedInfo)),
  access: 'scoped',
  run: async (needs: Needs, filter) =>
    describeAll(needs, await needs.organizations.list({ page: 1, size: ROWS_AT_MOST, ...filter })),
});

export const getOrganization = operation({
  command: ['org', 'get'],
  aliases: ['info', 'show'],
  route: ['GET', '/organization/info'],
  summary: 'Show one organization',
  input: wire({ organizationId: reference }),
  output: answer(wholeInfo),
  access: 'scoped',
  cli: {
    ...shownWithSizes,
    args: ['organization_id'],
    completes: { organization_id: 'org' },
    examples: [['By its alias', 'gatewayctl org get acme']],
  },
  run: async (needs: Needs, { organizationId }) => describeWhole(needs, await needs.organizations.get(organizationId)),
});

/** LiteLLM's look at several at once: one that is not there, or not for the caller, is left out. */
export const getOrganizations = operation({
  command: ['org', 'get-several'],
  route: ['POST', '/organization/info'],
  summary: 'Show several organizations',
  input: wire({ organizations: z.array(id).min(1).max(100).describe('The organizations, by id') }),
  output: z.array(answer(sizedInfo)),
  access: 'scoped',
  isRead: true,
  run: async (needs: Needs, { organizations: ids }) => describeAll(needs, await needs.organizations.several(ids)),
});

export const updateOrganization = operation({
  command: ['org', 'update'],
  route: ['PATCH', '/organization/update'],
  alsoAt: [['POST', '/organization/update']],
  summary: 'Change an organization',
  description: 'What is not named stays as it is; `none` removes a limit.',
  input: wire({ organizationId: reference, ...organizationChanges }),
  output: answer(organizationInfo),
  unserved: [...unserved, 'spend', 'updated_by'],
  access: 'admin',
  cli: {
    ...shown,
    args: ['organization_id'],
    completes: { organization_id: 'org' },
    flags: { ...flags, organization_id: false },
    done: (organization) => `Organization ${nameOf(organization)} updated`,
    examples: [['More money', 'gatewayctl org update acme --max-budget 8000']],
  },
  run: async (needs: Needs, { organizationId, ...changes }) =>
    describeOne(needs, await needs.organizations.update(organizationId, changes)),
});

const sizes = z
  .looseObject({ team_count: z.number(), member_count: z.number() })
  .catch({ team_count: 0, member_count: 0 });

export const deleteOrganizations = operation({
  command: ['org', 'delete'],
  aliases: ['rm'],
  route: ['DELETE', '/organization/delete'],
  alsoAt: [['POST', '/organization/delete']],
  summary: 'Delete organizations',
  description:
    'One that still has teams, keys or members is not deleted unless cascade says so. Its teams and keys go then; its users stay, without it.',
  input: wire({
    organizationIds: z.array(reference).min(1).max(100).describe('The organizations, by id or alias'),
    cascade: z.boolean().default(false).describe('Also delete their teams and keys, and end their memberships'),
  }),
  output: z.array(
    answer({
      ...organizationInfo,
      deletedTeams: z.array(z.string()).describe('The teams that went with it, by id'),
      deletedKeys: z.array(z.string()).describe('The hashes of the keys that went with it'),
    }),
  ),
  access: 'admin',
  cli: {
    ...shown,
    args: ['organization_ids'],
    completes: { organization_ids: 'org' },
    confirm: 'severe',
    atStake: {
      look: 'org get',
      field: 'organization_id',
      says: (organization, { cascade }) => {
        const { team_count: teams, member_count: members } = sizes.parse(organization);
        const fate =
          cascade === true ? 'deletes its teams with their keys and ends its memberships' : 'has to be empty';
        return `${teams} ${teams === 1 ? 'team' : 'teams'} and ${members} ${members === 1 ? 'member' : 'members'}; ${fate}`;
      },
    },
    done: (_, { organization_ids: ids }) => `${Array.isArray(ids) ? ids.map(text).join(', ') : ''} deleted`,
    examples: [['In a script', 'gatewayctl org delete acme --confirm acme']],
  },
  run: async (needs: Needs, { organizationIds, cascade }) => {
    const deleted = [];
    for (const organization of await needs.organizations.lockAll(organizationIds)) {
      const gone = cascade ? await removeHoldings(needs, organization) : { deletedTeams: [], deletedKeys: [] };
      if (!cascade) await needs.organizations.refuseHoldings(organization);
      deleted.push({ ...(await describeOne(needs, organization)), ...gone });
      await needs.organizations.remove(organization);
    }
    return deleted;
  },
});

/** Each as by its own deletion, so that every audit row and announcement is written. */
async function removeHoldings({ organizations, teams, keys, models, users }: Needs, organization: Organization) {
  const deletedKeys: string[] = [];
  const found = await teams.lockAll(await organizations.teamIdsOf(organization), 'admin');
  for (const team of found) {
    deletedKeys.push(...(await keys.removeOf({ teamId: team.id })));
    await models.removeOf(team.id);
    await teams.remove(team);
  }
  deletedKeys.push(...(await keys.removeOf({ organizationId: organization.id })));
  await users.leaveHomes(organization.id);
  return { deletedTeams: found.map(({ id: teamId }) => teamId), deletedKeys };
}

const blocking = (verb: 'block' | 'unblock', summary: string) =>
  operation({
    command: ['org', verb],
    route: ['POST', `/organization/${verb}`],
    summary,
    input: wire({ organizationId: reference }),
    output: answer(organizationInfo),
    access: 'admin',
    cli: {
      ...shown,
      args: ['organization_id'],
      completes: { organization_id: 'org' },
      done: (organization) => `Organization ${nameOf(organization)} ${verb}ed`,
      examples: [['By its alias', `gatewayctl org ${verb} acme`]],
    },
    run: async (needs: Needs, { organizationId }) =>
      describeOne(needs, await needs.organizations.setBlocked(organizationId, verb === 'block')),
  });

export const blockOrganization = blocking('block', 'Refuse all keys of an organization for now');
export const unblockOrganization = blocking('unblock', 'Let the keys of a blocked organization work again');

export const organizationOperations = [
  createOrganization,
  listOrganizations,
  listAllOrganizations,
  getOrganization,
  getOrganizations,
  updateOrganization,
  deleteOrganizations,
  blockOrganization,
  unblockOrganization,
] as const;
