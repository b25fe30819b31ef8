import { z } from 'zod';
import type { Authority } from '../access/authority.ts';
import { label } from '../kernel/fields.ts';
import { usd } from '../kernel/money.ts';
import { operation } from '../kernel/operation.ts';
import { answer, wire } from '../kernel/wire.ts';
import type { Key } from '../keys/key.entity.ts';
import type { KeyService } from '../keys/key.service.ts';
import type { Explainer } from './explainer.ts';
import { checkInfo, describeStep } from './step.wire.ts';
import type { Step } from './trace.ts';

interface Needs {
  authority: Pick<Authority, 'seesAll' | 'isSelf' | 'administersTeam' | 'administersOrganization' | 'administersUser'>;
  keys: KeyService;
  explainer: Pick<Explainer, 'explain'>;
}

/**
 * Of whom the asker may not look at only how it goes is said, and where it is refused what the call would have been told:
 * customers and tags are administrators' business, and anybody may name any of them; what a team, an organization or a user
 * has and has spent is for those who administer it.
 */
async function foreignTo(authority: Needs['authority'], key: Key): Promise<ReadonlySet<string>> {
  if (authority.seesAll) return new Set();
  const foreign = new Set(['customer', 'tag']);
  if (!(await authority.administersTeam(key.teamId))) foreign.add('team');
  if (!(await authority.administersOrganization(key.organizationId))) foreign.add('organization');
  const userId = key.userId ?? null;
  if (userId === null || !(authority.isSelf(userId) || (await authority.administersUser(userId)))) foreign.add('user');
  return foreign;
}

function shown({ check, outcome, detail, ...rest }: Step, foreign: ReadonlySet<string>): Step {
  const [entity = ''] = check.split('.', 1);
  if (!foreign.has(entity)) return { check, outcome, detail, ...rest };
  return { check, outcome, detail: outcome === 'deny' || outcome === 'observe' ? detail : `of the ${entity}` };
}

const errorInfo = answer({
  type: z.string().describe('The type of the error'),
  message: z.string().describe('What the client is told'),
  hint: z.string().nullable().describe('What may be done'),
});

export const explain = operation({
  command: ['explain'],
  route: ['POST', '/explain'],
  summary: 'Say whether a key may make a call, and why',
  description:
    'Runs the checks that every call goes through, all of them, and takes nothing. The rule that decides is the first ' +
    'that denies. Limits of requests and tokens are known to a running daemon only.',
  access: 'scoped',
  isRead: true,
  input: wire({
    key: label.optional().describe('The key, by alias or id; the one you came with when absent'),
    model: label.describe('The model, as a client names it'),
    route: label.default('/v1/chat/completions').describe('The path that is called'),
    tokens: z.int().nonnegative().optional().describe('Tokens of the prompt; counted from the body when absent'),
    maxTokens: z.int().positive().optional().describe('Tokens the answer may have'),
    from: z.union([z.ipv4(), z.ipv6()]).optional().describe('The address it would come from'),
    user: label.optional().describe('The customer the request names'),
    tags: z.array(label).max(100).optional().describe('Tags the request names'),
    body: z.record(z.string(), z.unknown()).optional().describe('The body of the request'),
  }),
  output: answer({
    allowed: z.boolean().describe('Whether the call would be let through'),
    rule: z.string().nullable().describe('The check that decides; null when none stands in the way'),
    status: z.int().describe('The HTTP status a client would get; 200 when nothing stands in the way'),
    error: errorInfo.nullable().describe('What a client would be told'),
    model: z.string().describe('The model that would be called: what an alias stands for'),
    maxCost: usd.nullable().describe('The most the call can cost in US dollars; null when nobody serves the model'),
    checks: z.array(answer(checkInfo)).describe('All checks, in the order in which a request meets them'),
  }),
  cli: {
    flags: {
      key: { name: 'key', placeholder: 'key', completes: 'key' },
      model: { name: 'model', placeholder: 'model', completes: 'model' },
      user: { name: 'customer', placeholder: 'customer', completes: 'customer' },
      tags: { name: 'tags', placeholder: 'tag,…', completes: 'tag' },
    },
    keyStdin: 'key',
    isOwnWithout: true,
    result: 'checks',
    columns: ['outcome', 'check', 'detail'],
    wide: ['limit', 'used', 'reserved', 'left', 'frees_at'],
    id: 'check',
    no: ({ allowed, rule, status }) =>
      allowed === true ? undefined : `Denied by ${String(rule)}, status ${String(status)}.`,
    examples: [
      ['Why a key is refused', 'gatewayctl explain --key ci-runner --model gpt-4o'],
      [
        'Whether a long call would fit',
        'gatewayctl explain --key ci-runner --model gpt-4o --tokens 90000 --max-tokens 4000',
      ],
      ['For a script', 'gatewayctl explain --key ci-runner --model gpt-4o -o json --fields allowed,rule'],
    ],
  },
  run: async (
    { keys, explainer, authority }: Needs,
    { key: reference, route: path, tokens, user, tags, body, from, ...asked },
  ) => {
    const key = reference === undefined ? await keys.own() : await keys.get(reference);
    const { model, worst, steps } = await explainer.explain({
      ...asked,
      token: key.token,
      path,
      customer: user,
      tags: tags ?? [],
      promptTokens: tokens,
      body,
      address: from,
    });
    const foreign = await foreignTo(authority, key);
    const denied = steps.find(({ outcome }) => outcome === 'deny');
    const { error } = denied ?? {};
    return {
      allowed: denied === undefined,
      rule: denied?.check ?? null,
      status: error?.status ?? 200,
      error: error ? { type: error.type, message: error.message, hint: error.hint ?? null } : null,
      model,
      maxCost: worst ?? null,
      checks: steps.map((step) => describeStep(shown(step, foreign))),
    };
  },
});
