import { z } from 'zod';
import { ifThere } from '../kernel/existing.ts';
import { label, text } from '../kernel/fields.ts';
import { type CommandLine, operation } from '../kernel/operation.ts';
import { answer, wire } from '../kernel/wire.ts';
import type { AccessGroup, AccessGroupService } from './access-group.service.ts';

interface Needs {
  accessGroups: AccessGroupService;
}

const groupInfo = {
  accessGroup: z.string().describe('The name that stands in lists of models'),
  modelNames: z.array(z.string()).describe('The models it lets through'),
  deploymentCount: z.int().describe('How many deployments name it'),
};

const changed = {
  ...groupInfo,
  modelsUpdated: z.int().describe('How many deployments were changed'),
};

const describeGroup = ({ name, models, deployments }: AccessGroup) => ({
  accessGroup: name,
  modelNames: [...models],
  deploymentCount: deployments,
});

const describeChange = ({ group, changed: modelsUpdated }: { group: AccessGroup; changed: number }) => ({
  ...describeGroup(group),
  modelsUpdated,
});

const reference = label.describe('The group');
const members = z.array(label).min(1, 'must name a model').max(1_000);

const shown: Partial<CommandLine> = {
  columns: ['access_group', 'model_names', 'deployment_count'],
  headings: { access_group: 'NAME', model_names: 'MODELS', deployment_count: 'DEPLOYMENTS' },
  id: 'access_group',
};

const flags: CommandLine['flags'] = {
  model_names: { name: 'models', placeholder: 'model,…', completes: 'model' },
};

export const createAccessGroup = operation({
  command: ['access-group', 'create'],
  aliases: ['new', 'add'],
  route: ['POST', '/access_group/new'],
  summary: 'Put models into a group that keys can be given',
  description:
    'A list of models that holds the group lets all of its models through. Every deployment behind the names is changed.',
  input: wire({ accessGroup: reference, modelNames: members.describe('Public names of models') }),
  output: answer(changed),
  unserved: ['model_ids'],
  access: 'admin',
  existing: {
    names: ['access_group'],
    find: async ({ accessGroups }: Needs, { accessGroup }) => {
      const group = await ifThere(accessGroups.get(accessGroup));
      return group && describeChange({ group, changed: 0 });
    },
  },
  cli: {
    ...shown,
    args: ['access_group'],
    flags,
    done: ({ access_group: name }) => `Access group ${text(name)} created`,
    examples: [['Two models', 'gatewayctl access-group create beta --models gpt-4o,llama']],
  },
  run: async ({ accessGroups }: Needs, { accessGroup, modelNames }) =>
    describeChange(await accessGroups.create(accessGroup, modelNames)),
});

export const listAccessGroups = operation({
  command: ['access-group', 'list'],
  aliases: ['ls'],
  route: ['GET', '/access_group/list'],
  summary: 'List the groups that deployments name',
  input: wire({}),
  output: answer({ accessGroups: z.array(answer(groupInfo)).describe('The groups') }),
  access: 'scoped',
  cli: { ...shown, result: 'access_groups', examples: [['All of them', 'gatewayctl access-group list']] },
  run: async ({ accessGroups }: Needs) => ({ accessGroups: (await accessGroups.list()).map(describeGroup) }),
});

export const getAccessGroup = operation({
  command: ['access-group', 'get'],
  aliases: ['info', 'show'],
  route: ['GET', '/access_group/:access_group/info'],
  summary: 'Show a group and its models',
  input: wire({ accessGroup: reference }),
  output: answer(groupInfo),
  access: 'scoped',
  cli: {
    ...shown,
    args: ['access_group'],
    completes: { access_group: 'access-group' },
    examples: [['By its name', 'gatewayctl access-group get beta']],
  },
  run: async ({ accessGroups }: Needs, { accessGroup }) => describeGroup(await accessGroups.get(accessGroup)),
});

export const updateAccessGroup = operation({
  command: ['access-group', 'update'],
  route: ['PUT', '/access_group/:access_group/update'],
  summary: 'Say which models a group has',
  description: 'Exactly these afterwards: the others leave it.',
  input: wire({
    accessGroup: reference,
    modelNames: members.describe('Public names of models, in place of the present'),
  }),
  output: answer(changed),
  unserved: ['model_ids'],
  access: 'admin',
  cli: {
    ...shown,
    args: ['access_group'],
    completes: { access_group: 'access-group' },
    flags,
    done: ({ access_group: name }) => `Access group ${text(name)} updated`,
    examples: [['One model only', 'gatewayctl access-group update beta --models llama']],
  },
  run: async ({ accessGroups }: Needs, { accessGroup, modelNames }) =>
    describeChange(await accessGroups.update(accessGroup, modelNames)),
});

export const deleteAccessGroup = operation({
  command: ['access-group', 'delete'],
  aliases: ['rm'],
  route: ['DELETE', '/access_group/:access_group/delete'],
  summary: 'Take a group away from all its models',
  description: 'Keys that have the group in their list are not changed; the name then lets nothing through.',
  input: wire({ accessGroup: reference }),
  output: answer(changed),
  access: 'admin',
  cli: {
    ...shown,
    args: ['access_group'],
    completes: { access_group: 'access-group' },
    confirm: 'moderate',
    atStake: { look: 'access-group get', field: 'access_group' },
    done: ({ access_group: name }) => `Access group ${text(name)} deleted`,
    examples: [['In a script', 'gatewayctl access-group delete beta --yes']],
  },
  run: async ({ accessGroups }: Needs, { accessGroup }) => describeChange(await accessGroups.delete(accessGroup)),
});

export const accessGroupOperations = [
  createAccessGroup,
  listAccessGroups,
  getAccessGroup,
  updateAccessGroup,
  deleteAccessGroup,
] as const;
