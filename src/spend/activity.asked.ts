import type { EntityManager } from '@mikro-orm/postgresql';
import { z } from 'zod';
import type { Authority } from '../access/authority.ts';
import { id, label } from '../kernel/fields.ts';
import type { CommandLine } from '../kernel/operation.ts';
import { pageFields } from '../kernel/page.ts';
import { dayFlags, days, daysBetween } from '../kernel/period.ts';
import type { KeyService } from '../keys/key.service.ts';
import type { ActivityEntity } from './activity.queries.ts';
import { describeActivity } from './activity.wire.ts';
import type { SpendReads } from './spend.reads.ts';

/** What a question for daily activity needs, whoever's activity it is. */
export interface ActivityNeeds {
  spend: SpendReads;
  em: EntityManager;
  authority: Authority;
  now: Date;
  keys: KeyService;
}

/** Ten years: what is older is looked at a piece at a time. */
export const DAYS_AT_MOST = 3_660;
/** An answer without pages holds every day, each with its parts. */
export const DAYS_AT_ONCE = 366;

const pages = pageFields({ default: 50, max: 100 });

export const narrowed = {
  ...days,
  model: label.optional().describe('Only calls for this model'),
  apiKey: label.optional().describe('Only calls with this key: alias, id or hash'),
};

export const paged = {
  page: pages.page,
  pageSize: pages.size.describe('Days on a page, at most 100'),
};

export const ids = (what: string) => z.array(id).min(1).max(100).optional().describe(`Only these ${what}`);

export const shown: Partial<CommandLine> = {
  result: 'results',
  columns: ['date', 'api_requests', 'failed_requests', 'prompt_tokens', 'completion_tokens', 'spend'],
  headings: {
    api_requests: 'REQUESTS',
    failed_requests: 'FAILED',
    prompt_tokens: 'TOKENS-IN',
    completion_tokens: 'TOKENS-OUT',
  },
  id: 'date',
};

export const flags: CommandLine['flags'] = {
  ...dayFlags,
  page_size: 'limit',
  model: { name: 'model', placeholder: 'model', completes: 'model' },
  api_key: { name: 'key', placeholder: 'key', completes: 'key' },
};

interface Narrowed {
  readonly startDate?: string | undefined;
  readonly endDate?: string | undefined;
  readonly model?: string | undefined;
  readonly apiKey?: string | undefined;
  readonly page: number;
  readonly pageSize: number;
}

interface Of {
  readonly entity: ActivityEntity;
  readonly ids: readonly string[] | undefined;
  readonly most?: number;
}

/** Whoever asks sees of it what it may read of the ledger: a plain member of a team what it has spent there itself. */
export async function activityOf({ spend, em, authority, now, keys }: ActivityNeeds, asked: Narrowed, of: Of) {
  const { entity, ids: only, most = DAYS_AT_MOST } = of;
  const page = { page: asked.page, size: asked.pageSize };
  const found = await spend.activity(em, {
    ...daysBetween(asked, { now, most }),
    model: asked.model,
    keyId: asked.apiKey === undefined ? undefined : (await keys.get(asked.apiKey)).id,
    scope: await spend.scope(em, authority),
    entity,
    ids: only,
    page,
  });
  return describeActivity(found, page);
}

/** LiteLLM's fields that none of these questions has. */
export const unserved = ['timezone'] as const;
