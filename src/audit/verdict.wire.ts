import { z } from 'zod';
import { answer } from '../kernel/wire.ts';
import type { Flaw, Verdict } from './audit.verify.ts';

const names = [
  'altered',
  'missing',
  'moved',
  'cut_off',
  'unexpected',
  'head_altered',
  'head_missing',
  'key_unknown',
  'key_missing',
] as const;
export type Problem = (typeof names)[number];

/** What can be wrong with a chain, in words for people. */
const problems: Readonly<Record<Problem, string>> = {
  altered: 'was changed, or the one before it was taken out',
  missing: 'was deleted',
  moved: 'was moved to where it is',
  cut_off: 'was deleted, with all behind it',
  unexpected: 'is behind the end of the chain: it was made by somebody else, or the end was set back',
  head_altered: 'the end of the chain was changed',
  head_missing: 'the end of the chain was deleted',
  key_unknown:
    'its key is missing or does not open with the encryption key given here; nothing under it can be checked',
  key_missing: 'was chained without a key although there was one: anybody can have made it',
};

/** The first place at which a chain is broken. */
const flaw = answer({
  keyId: z.string().describe('The key the chain was made with; empty for none'),
  chain: z.int().describe('Which of its chains'),
  seq: z.int().nullable().describe('Which row of the chain, from 1; null when it is no row'),
  id: z.string().nullable().describe('Which entry, when it is there'),
  problem: z.enum(names).describe('What is wrong'),
  message: z.string().describe('The same in words'),
});

export const auditVerdict = answer({
  ok: z.boolean().describe('Whether every entry is as it was written and in its place'),
  entries: z.int().describe('Entries that are'),
  chains: z.int().describe('Chains that were walked'),
  unkeyed: z.int().describe('Entries among them without a key: whoever may write to the database could have made them'),
  beforeChains: z.int().describe('Entries from before there were chains: nothing tells whether they were changed'),
  broken: z.array(flaw).describe('Where chains are broken, the first place of each'),
});

export const describeVerdict = ({ flaws, ...rest }: Verdict) => ({
  ok: flaws.length === 0,
  ...rest,
  broken: flaws.map((each) => ({ ...each, message: messageOf(each) })),
});

function messageOf({ keyId, chain, seq, id, problem }: Flaw): string {
  const where = keyId === '' ? `chain ${chain} without a key` : `chain ${chain} of key ${keyId}`;
  if (problem === 'key_unknown') return `key ${keyId}: ${problems[problem]}`;
  if (seq === null) return `${where}: ${problems[problem]}`;
  return `${where}: row ${seq}${id === null ? '' : `, entry ${id},`} ${problems[problem]}`;
}

/** An encoded verdict as lines for a person. */
export function brokenLines(broken: unknown): string {
  const flaws = z.array(z.object({ message: z.string() })).parse(broken);
  return flaws.map(({ message }) => message).join('\n');
}
