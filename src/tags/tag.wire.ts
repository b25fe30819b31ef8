import { z } from 'zod';
import { budgetedInfo, describeBudgeted, type Standing } from '../budgets/budgeted.wire.ts';
import { id, label } from '../kernel/fields.ts';
import { limitFields } from '../kernel/limits.ts';
import { usd } from '../kernel/money.ts';
import { answer } from '../kernel/wire.ts';
import type { Tag } from './tag.entity.ts';

/** A tag in answers, in LiteLLM's words. */
export const tagInfo = {
  name: z.string().describe('Names the tag'),
  description: z.string().nullable().describe('What the tag is for'),
  ...budgetedInfo,
};

export const describeTag = (tag: Tag, standing: Standing) => ({
  name: tag.name,
  description: tag.description ?? null,
  ...describeBudgeted(tag, standing),
});

const row = answer(tagInfo);

/** A tag as it travels: what the audit log keeps. */
export const encodeTag = (info: ReturnType<typeof describeTag>) => row.encode(info);

/** What can be set of a tag: absent leaves, a value sets, null clears. */
export const tagFields = {
  description: label.nullable().optional().describe('What the tag is for'),
  maxBudget: usd.nullable().optional().describe('US dollars that may be spent; null is no limit'),
  ...limitFields,
  budgetId: id.nullable().optional().describe('A shared budget, for the limits that are not set here'),
};
