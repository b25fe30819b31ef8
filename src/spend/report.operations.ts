import type { EntityManager } from '@mikro-orm/postgresql';
import { z } from 'zod';
import type { Authority } from '../access/authority.ts';
import { label } from '../kernel/fields.ts';
import { usd } from '../kernel/money.ts';
import { operation } from '../kernel/operation.ts';
import { dateFlags, dates } from '../kernel/period.ts';
import { answer, wire } from '../kernel/wire.ts';
import type { KeyService } from '../keys/key.service.ts';
import type { TeamService } from '../teams/team.service.ts';
import { groupings, type Grouping, type SpendSum } from './report.queries.ts';
import type { SpendReads } from './spend.reads.ts';
import { count } from './spend.wire.ts';

export interface Needs {
  spend: SpendReads;
  em: EntityManager;
  authority: Authority;
  keys: KeyService;
  teams: TeamService;
}

const named = (what: string) => z.string().optional().describe(`The ${what}, where sums are by it; empty for none`);
const called = (what: string) => z.string().optional().describe(`What people call the ${what}, or its id`);

const sumInfo = {
  group: z.string().describe('What the calls have in common; by several things, all of them with a comma between'),
  label: z.string().nullable().describe('What people call it'),
  requests: count.describe('Calls'),
  failedRequests: count.describe('Calls that failed'),
  promptTokens: count.describe('Input tokens'),
  completionTokens: count.describe('Output tokens'),
  spend: usd.describe('What the calls cost in US dollars'),
  key: named('key'),
  keyName: called('key'),
  team: named('team'),
  teamName: called('team'),
  user: named('user'),
  userName: called('user'),
  organization: named('organization'),
  organizationName: called('organization'),
  customer: named('customer'),
  customerName: called('customer'),
  tag: named('tag'),
  model: named('model'),
  provider: named('provider'),
  upstreamModel: named('model that was called upstream'),
  day: named('day in UTC'),
  month: named('month in UTC'),
  isTotal: z.boolean().optional().describe('Whether this is the row of everything'),
};

const withNames: ReadonlySet<Grouping> = new Set(['key', 'team', 'user', 'organization', 'customer']);

type Named = Partial<
  Record<
    | Exclude<Grouping, 'upstream_model'>
    | 'upstreamModel'
    | `${'key' | 'team' | 'user' | 'organization' | 'customer'}Name`,
    string
  >
>;

function namesOf(groups: SpendSum['groups']): Named {
  const members = groups.flatMap(({ by, id, label: name }) => [
    [by === 'upstream_model' ? 'upstreamModel' : by, id],
    ...(withNames.has(by) ? [[`${by}Name`, name ?? id]] : []),
  ]);
  return Object.fromEntries(members) satisfies Named;
}

const describeSum = ({ isTotal, groups, ...sum }: SpendSum, by: readonly Grouping[]) => ({
  group: isTotal ? 'total' : groups.map(({ id }) => id).join(','),
  label: groups.some((each) => each.label !== null) ? groups.map((each) => each.label ?? each.id).join(', ') : null,
  requests: sum.requests,
  failedRequests: sum.failed_requests,
  promptTokens: sum.prompt_tokens,
  completionTokens: sum.completion_tokens,
  spend: BigInt(sum.spend),
  ...namesOf(groups),
  ...(isTotal && { ...namesOf(by.slice(0, 1).map((each) => ({ by: each, id: 'total', label: null }))), isTotal }),
});

const counts = ['requests', 'failed_requests', 'prompt_tokens', 'completion_tokens', 'spend'];

/** With several things that calls have in common each is a column of its own, by the name that people know. */
function columnsOf({ group_by: by }: Readonly<Record<string, unknown>>): readonly string[] | undefined {
  if (!Array.isArray(by) || by.length < 2) return undefined;
  const shown = by.flatMap((each) => groupings.find((known) => known === each) ?? []);
  return [...shown.map((each) => (withNames.has(each) ? `${each}_name` : each)), ...counts];
}

export const reportSpend = operation({
  command: ['spend', 'report'],
  route: ['GET', '/spend/report'],
  summary: 'Add up what calls have cost',
  description:
    'By one or by several things at once, over whole days in UTC, long after the calls themselves are gone. By upstream_model, and by customer or tag together with team, organization or each other, and with --would-refuse, it reads the calls that are kept. A call with several tags counts under each of them. Without the role of an administrator: your own, and those of teams and organizations you administer.',
  input: wire({
    groupBy: z
      .array(z.enum(groupings))
      .min(1)
      .max(4)
      .refine((by) => new Set(by).size === by.length, 'names something twice')
      .default(['key'])
      .describe('What the calls are added up by, up to four things at once'),
    apiKey: label.optional().describe('Only calls with this key: alias, id or hash'),
    teamId: label.optional().describe('Only calls of this team, by id or alias'),
    userId: label.optional().describe('Only calls of this user'),
    model: label.optional().describe('Only calls for this model'),
    endUser: label.optional().describe('Only calls for this customer'),
    tag: label.optional().describe('Only calls with this tag'),
    provider: label.optional().describe('Only calls that went to this provider'),
    wouldRefuse: z
      .boolean()
      .default(false)
      .describe('Only calls that would have been refused, had enforce not been observe'),
    ...dates,
    limit: z.int().min(1).max(1_000).default(20).describe('Rows at most, the dearest first'),
    totals: z.boolean().default(false).describe('One more row: everything, also what is not shown'),
  }),
  output: z.array(answer(sumInfo)),
  access: 'scoped',
  cli: {
    columns: ['group', 'label', ...counts],
    columnsOf,
    forEyes: { input: { totals: true }, bar: 'spend', isTotal: 'is_total' },
    headings: {
      failed_requests: 'FAILED',
      prompt_tokens: 'TOKENS-IN',
      completion_tokens: 'TOKENS-OUT',
      key_name: 'KEY',
      team_name: 'TEAM',
      user_name: 'USER',
      organization_name: 'ORGANIZATION',
      customer_name: 'CUSTOMER',
    },
    id: 'group',
    flags: {
      group_by: 'by',
      limit: 'top',
      api_key: { name: 'key', placeholder: 'key', completes: 'key' },
      team_id: { name: 'team', placeholder: 'team', completes: 'team' },
      user_id: { name: 'user', placeholder: 'user', completes: 'user' },
      model: { name: 'model', placeholder: 'model', completes: 'model' },
      end_user: { name: 'customer', placeholder: 'customer', completes: 'customer' },
      tag: { name: 'tag', completes: 'tag' },
      ...dateFlags,
    },
    examples: [
      ['What each team has cost in a month', 'gatewayctl spend report --by team --since 30d'],
      ['Each model of each team', 'gatewayctl spend report --by team,model --since 30d'],
    ],
  },
  run: async (
    { spend, em, authority, keys, teams }: Needs,
    { groupBy: by, startDate: since, endDate: until, apiKey, teamId, limit, totals: hasTotal, wouldRefuse, ...rest },
  ) => {
    const scope = await spend.scope(em, authority);
    if (rest.userId !== undefined) await spend.requireSpender(em, scope, rest.userId);
    const filter = {
      since,
      until,
      userId: rest.userId,
      model: rest.model,
      customerId: rest.endUser,
      tag: rest.tag,
      provider: rest.provider,
      wouldRefuse,
      keyId: apiKey === undefined ? undefined : (await keys.get(apiKey)).id,
      teamId: teamId === undefined ? undefined : (await teams.get(teamId)).id,
    };
    const found = await spend.report(em, { by, filter, scope, limit, hasTotal });
    // The sum of nothing has no rows to stand under.
    return (found.some(({ isTotal }) => !isTotal) ? found : []).map((sum) => describeSum(sum, by)).toSorted(byTotal);
  },
});

const byTotal = (one: { isTotal?: boolean }, other: { isTotal?: boolean }) =>
  Number(one.isTotal ?? false) - Number(other.isTotal ?? false);
