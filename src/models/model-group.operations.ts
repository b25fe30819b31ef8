import { z } from 'zod';
import { label } from '../kernel/fields.ts';
import { operation } from '../kernel/operation.ts';
import { answer, wire } from '../kernel/wire.ts';
import { groupInfo, groupsOf } from './model-group.ts';
import type { ModelService } from './model.service.ts';

export interface Needs {
  models: ModelService;
}

export const listModelGroups = operation({
  command: ['model', 'group', 'list'],
  aliases: ['ls'],
  route: ['GET', '/model_group/info'],
  summary: 'List public names with what is known of their models',
  description: 'Patterns are one entry each. A value that differs between the deployments of a name is the highest.',
  input: wire({ modelGroup: label.optional().describe('Only this name') }),
  output: answer({ data: z.array(answer(groupInfo)).describe('The names, 10,000 deployments at most') }),
  access: 'scoped',
  cli: {
    columns: ['model_group', 'providers', 'mode', 'input_cost_per_token', 'output_cost_per_token'],
    wide: ['max_input_tokens', 'max_output_tokens', 'team_id', 'access_groups'],
    headings: {
      model_group: 'NAME',
      input_cost_per_token: 'IN $',
      output_cost_per_token: 'OUT $',
      max_input_tokens: 'INPUT',
      max_output_tokens: 'OUTPUT',
      team_id: 'TEAM',
      access_groups: 'GROUPS',
    },
    id: 'model_group',
    result: 'data',
    completes: { model_group: 'model' },
    flags: { model_group: 'name' },
    examples: [['All of them', 'gatewayctl model group list']],
  },
  run: async ({ models }: Needs, { modelGroup }) => ({
    data: groupsOf(await models.describe(await models.all())).filter(
      (group) => modelGroup === undefined || group.modelGroup === modelGroup,
    ),
  }),
});
