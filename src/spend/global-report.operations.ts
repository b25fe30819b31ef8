import { z } from 'zod';
import { id } from '../kernel/fields.ts';
import { toDollars } from '../kernel/money.ts';
import { operation } from '../kernel/operation.ts';
import { wire } from '../kernel/wire.ts';
import type { TeamService } from '../teams/team.service.ts';
import { filterOf, type GlobalNeeds, idAt, nameAt, period, sumOf, whole } from './global.asked.ts';
import type { KnownKey } from './global.queries.ts';
import type { SpendSum } from './report.queries.ts';

export interface Needs extends GlobalNeeds {
  teams: TeamService;
}

const part = z.object({
  model: z.string().describe('The model'),
  api_key: z.string().describe('The hash of the key, or its id where the hash is not known any more'),
  spend: z.number().describe('US dollars'),
  total_tokens: z.int().describe('Input and output tokens'),
});

const spent = {
  total_spend: z.number().describe('US dollars of the day'),
  metadata: z.array(part).describe('What it was spent on'),
};

const reportInfo = z.object({
  group_by_day: z.string().optional().describe('The day, in UTC'),
  teams: z
    .array(z.object({ team_name: z.string().describe('The name of the team'), ...spent }))
    .optional()
    .describe('What teams have spent on that day'),
  customers: z
    .array(z.object({ customer: z.string().describe('The customer'), ...spent }))
    .optional()
    .describe('What customers have spent on that day'),
  api_key: z.string().optional().describe('The hash of the key, or its id where the hash is not known any more'),
  internal_user_id: z.string().optional().describe('The user'),
  total_cost: z.number().optional().describe('US dollars'),
  total_input_tokens: z.int().optional().describe('Input tokens'),
  total_output_tokens: z.int().optional().describe('Output tokens'),
  model_details: z
    .array(
      z.object({
        model: z.string().describe('The model'),
        total_cost: z.number().describe('US dollars'),
        total_input_tokens: z.int().describe('Input tokens'),
        total_output_tokens: z.int().describe('Output tokens'),
      }),
    )
    .optional()
    .describe('The same by model'),
});

const dollars = (sums: readonly Pick<SpendSum, 'spend'>[]): number => toDollars(sumOf(sums));

const totalsOf = (sums: readonly SpendSum[]) => ({
  total_cost: dollars(sums),
  total_input_tokens: sums.reduce((sum, each) => sum + Number(each.prompt_tokens), 0),
  total_output_tokens: sums.reduce((sum, each) => sum + Number(each.completion_tokens), 0),
});

type Keys = ReadonlyMap<string, KnownKey>;

const tokenOf = (keys: Keys, keyId: string): string => keys.get(keyId)?.token ?? keyId;

/** By day, then by team or customer, then by model and key. */
function byDay(sums: readonly SpendSum[], kind: 'team' | 'customer', keys: Keys) {
  const spentOf = (own: readonly SpendSum[]) => ({
    total_spend: dollars(own),
    metadata: own.map((sum) => ({
      model: idAt(sum, 2),
      api_key: tokenOf(keys, idAt(sum, 3)),
      spend: dollars([sum]),
      total_tokens: Number(sum.prompt_tokens) + Number(sum.completion_tokens),
    })),
  });
  return [...Map.groupBy(sums, (sum) => idAt(sum, 0))].map(([day, ofDay]) => {
    const owners = [...Map.groupBy(ofDay, (sum) => idAt(sum, 1)).values()];
    return kind === 'team'
      ? { group_by_day: day, teams: owners.map((own) => Object.assign({ team_name: named(own) }, spentOf(own))) }
      : { group_by_day: day, customers: owners.map((own) => Object.assign({ customer: named(own) }, spentOf(own))) };
  });
}

const named = ([sum]: readonly SpendSum[]): string => (sum ? nameAt(sum, 1) : '');

/** By key or user, then by model, over all days. */
const byOwner = (
  sums: readonly SpendSum[],
  name: (owner: string) => { api_key: string } | { internal_user_id: string },
) =>
  [...Map.groupBy(sums, (sum) => idAt(sum, 0))].map(([owner, own]) => {
    const details = own.map((sum) => Object.assign({ model: idAt(sum, 1) }, totalsOf([sum])));
    return Object.assign({ model_details: details }, name(owner), totalsOf(own));
  });

export const globalSpendReport = operation({
  command: ['global-spend', 'report'],
  route: ['GET', '/global/spend/report'],
  summary: 'Add up spend as LiteLLM’s report does',
  description: 'By day and team or customer, or over all days by key; the last day is included.',
  input: wire({
    ...period,
    groupBy: z
      .enum(['team', 'customer', 'api_key', 'internal_user'])
      .default('team')
      .describe('What it is added up by; internal_user is ours'),
    internalUserId: id.optional().describe('Only calls of this user, added up by key'),
    teamId: id.optional().describe('Only calls of this team, by id or alias'),
    customerId: id.optional().describe('Only calls for this customer, added up by customer'),
  }),
  output: z.array(reportInfo),
  access: 'admin',
  run: async (needs: Needs, { groupBy, internalUserId: userId, teamId, customerId, ...asked }) => {
    const filter = {
      ...(await filterOf(needs, asked)),
      userId,
      customerId,
      teamId: teamId === undefined ? undefined : (await needs.teams.get(teamId)).id,
    };
    const kind = customerId !== undefined ? 'customer' : userId === undefined ? groupBy : 'api_key';
    if (kind === 'internal_user') {
      return byOwner(await whole(needs, ['user', 'model'], filter), (user) => ({ internal_user_id: user }));
    }
    const isByKey = kind === 'api_key' || (kind === 'team' && asked.apiKey !== undefined);
    const sums = await whole(needs, isByKey ? ['key', 'model'] : ['day', ownerOf(kind), 'model', 'key'], filter);
    const keyIds = new Set(sums.map((sum) => idAt(sum, isByKey ? 0 : 3)));
    const keys = await needs.spend.keysNamed(needs.em, [...keyIds]);
    if (isByKey) return byOwner(sums, (key) => ({ api_key: tokenOf(keys, key) }));
    return byDay(sums, ownerOf(kind), keys);
  },
});

const ownerOf = (kind: string): 'team' | 'customer' => (kind === 'customer' ? 'customer' : 'team');
