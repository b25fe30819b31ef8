import { z } from 'zod';
import { label } from '../kernel/fields.ts';
import { usd } from '../kernel/money.ts';
import { operation } from '../kernel/operation.ts';
import { dates } from '../kernel/period.ts';
import { answer, wire } from '../kernel/wire.ts';
import type { KeyService } from '../keys/key.service.ts';
import type { TeamService } from '../teams/team.service.ts';
import { cursorText } from './cursor.ts';
import type { RepricedModel, RepriceService } from './reprice.service.ts';

export interface Needs {
  repricing: RepriceService;
  keys: KeyService;
  teams: TeamService;
  now: Date;
}

/** Their rows are locked until the sums are written: it takes about a second. */
const CALLS_AT_MOST = 5_000;

const modelInfo = {
  model: z.string().describe('The model the clients asked for'),
  rows: z.int().describe('Calls of it'),
  changed: z.int().describe('Those that are booked at another price now'),
  before: usd.describe('US dollars that those with a price were booked at'),
  after: usd.describe('US dollars that they cost by the prices of today'),
  difference: z.number().meta({ format: 'usd' }).describe('US dollars more, or less'),
  skipped: z.record(z.string(), z.int()).describe('Calls that keep their cost, by the reason'),
};

const describeModel = (model: RepricedModel) => ({
  ...model,
  difference: Number(model.after - model.before) / 1e9,
  skipped: Object.fromEntries(Object.entries(model.skipped).filter(([, calls]) => calls > 0)),
});

/** A page of it. `gatewayctl spend reprice` asks for one after the other. */
export const repriceSpend = operation({
  command: ['spend', 'reprice'],
  route: ['POST', '/spend/reprice'],
  summary: 'Book calls anew by the prices of today',
  description:
    'The oldest first, a page in a transaction: the rows, every sum and window of a budget that they are in, and an entry of the audit log. Where there are more, the answer says where to go on. A call that is booked at the price of today already is left alone, so that asking again does nothing twice. What was booked without the usage that a provider reported keeps its cost, and so does what has no price today.',
  input: wire({
    startDate: dates.startDate.unwrap().describe('From this day or moment on'),
    endDate: dates.endDate,
    model: label.optional().describe('Only calls for this model'),
    apiKey: label.optional().describe('Only calls with this key: alias, id or hash'),
    teamId: label.optional().describe('Only calls of this team, by id or alias'),
    cursor: cursorText.optional().describe('Only calls behind this one: next_cursor of the page before'),
    limit: z.int().min(1).max(CALLS_AT_MOST).default(CALLS_AT_MOST).describe('Calls at most'),
  }),
  output: answer({
    rows: z.int().describe('Calls that were looked at'),
    models: z.array(answer(modelInfo)).describe('The same by model'),
    nextCursor: cursorText.nullable().describe('Where the next page begins; null when this was the last'),
  }),
  access: 'admin',
  run: async (
    { repricing, keys, teams, now }: Needs,
    { startDate: since, endDate: until = now, model, apiKey, teamId, cursor: after, limit },
  ) => {
    const owners = {
      keyId: apiKey === undefined ? undefined : (await keys.get(apiKey)).id,
      teamId: teamId === undefined ? undefined : (await teams.get(teamId)).id,
    };
    const { rows, next, models } = await repricing.page({ since, until, model, ...owners }, { after, limit });
    return { rows, models: models.map(describeModel), nextCursor: next ?? null };
  },
});
