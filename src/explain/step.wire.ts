import { z } from 'zod';
import { timestamp } from '../kernel/wire.ts';
import type { Step } from './trace.ts';

export const checkInfo = {
  check: z.string().describe('Whose check it is and of what, such as team.models or key.budget'),
  outcome: z
    .enum(['pass', 'deny', 'observe', 'unknown'])
    .describe('How it goes; observe where it would be refused and is let through, unknown where only a daemon can say'),
  detail: z.string().describe('What the check went by'),
  limit: z.number().nullable().describe('The limit: US dollars of a budget, else requests, tokens or calls'),
  used: z.number().nullable().describe('How much of it is used'),
  reserved: z.number().nullable().describe('How much of it calls in flight hold'),
  left: z.number().nullable().describe('How much of it is left'),
  freesAt: timestamp.nullable().describe('When there is room again: the window ends, or calls fall out of the minute'),
};

export const describeStep = ({ check, outcome, detail, limit, used, reserved, left, freesAt }: Step) => ({
  check,
  outcome,
  detail,
  limit: limit ?? null,
  used: used ?? null,
  reserved: reserved ?? null,
  left: left ?? null,
  freesAt: freesAt ?? null,
});
