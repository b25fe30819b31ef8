import { type BudgetSite, models } from './budget-site.ts';

/** What a call of a kind says, beside its messages. */
export interface Charged {
  readonly key: string;
  readonly fields: Readonly<Record<string, unknown>>;
  readonly models: readonly string[];
}

const text = (value: unknown): string => {
  if (typeof value !== 'string') throw new Error('An answer lacks what it must have');
  return value;
};

type Kind = (site: BudgetSite, max: number, id: string) => Promise<Charged>;

const aKey = async (site: BudgetSite, body: object): Promise<string> =>
  text((await site.post('/key/generate', body))['key']);

const plain = (key: string): Charged => ({ key, fields: {}, models });

/** Somebody with a budget of each kind, and nothing else that limits them. */
export const kinds: Readonly<Record<string, Kind>> = {
  key: async (site, max) => plain(await aKey(site, { max_budget: max })),
  'key, several windows': async (site, max) =>
    plain(
      await aKey(site, {
        budget_limits: [
          { budget_duration: '1d', max_budget: max },
          { budget_duration: '30d', max_budget: max * 2 },
        ],
      }),
    ),
  'key, one model': async (site, max) => {
    const key = await aKey(site, { model_max_budget: { 'bench-middle': { budget_limit: max, time_period: '1d' } } });
    return { key, fields: {}, models: ['bench-middle'] };
  },
  team: async (site, max, id) => {
    await site.post('/team/new', { team_id: id, max_budget: max });
    return plain(await aKey(site, { team_id: id }));
  },
  'team member': async (site, max, id) => {
    await site.post('/user/new', { user_id: id, auto_create_key: false });
    await site.post('/team/new', { team_id: id });
    const member = { role: 'user', user_id: id };
    await site.post('/team/member_add', { team_id: id, member, max_budget_in_team: max });
    return plain(await aKey(site, { team_id: id, user_id: id }));
  },
  user: async (site, max, id) => {
    await site.post('/user/new', { user_id: id, max_budget: max, auto_create_key: false });
    return plain(await aKey(site, { user_id: id }));
  },
  organization: async (site, max, id) => {
    const made = await site.post('/organization/new', { organization_alias: id, max_budget: max });
    await site.post('/team/new', { team_id: id, organization_id: text(made['organization_id']) });
    return plain(await aKey(site, { team_id: id }));
  },
  customer: async (site, max, id) => {
    await site.post('/customer/new', { user_id: id, max_budget: max });
    return { key: await aKey(site, {}), fields: { user: id }, models };
  },
  tag: async (site, max, id) => {
    await site.post('/tag/new', { name: id, max_budget: max });
    return { key: await aKey(site, {}), fields: { metadata: { tags: [id] } }, models };
  },
};
