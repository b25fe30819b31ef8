import { z } from 'zod';
import type { Authority } from '../access/authority.ts';
import { label } from '../kernel/fields.ts';
import { usd } from '../kernel/money.ts';
import { operation } from '../kernel/operation.ts';
import { answer, timestamp, wire } from '../kernel/wire.ts';
import type { KeyService } from '../keys/key.service.ts';
import type { Explainer } from './explainer.ts';
import type { Step } from './trace.ts';

interface Needs {
  authority: Pick<Authority, 'seesAll'>;
  keys: KeyService;
  explainer: Pick<Explainer, 'explain'>;
}

const checkInfo = {
  check: z.string().describe('Whose check it is and of what, such as team.models or key.budget'),
  outcome: z.enum(['pass', 'deny', 'unknown']).describe('How it goes; unknown where only a daemon can say'),
  detail: z.string().describe('What the check went by'),
  limit: z.number().nullable().describe('The limit: US dollars of a budget, else requests, tokens or calls'),
  used: z.number().nullable().describe('How much of it is used'),
  reserved: z.number().nullable().describe('How much of it calls in flight hold'),
  left: z.number().nullable().describe('How much of it is left'),
  freesAt: timestamp.nullable().describe('When there is room again: the window ends, or calls fall out of the minute'),
};

const describeStep = ({ check, outcome, detail, limit, used, reserved, left, freesAt }: Step) => ({
  check,
  outcome,
  detail,
  limit: limit ?? null,
  used: used ?? null,
  reserved: reserved ?? null,
  left: left ?? null,
  freesAt: freesAt ?? null,
});

/**
 * Customers and tags are administrators' business, and anybody may name any of them: of those only how it goes is said, and
 * where it is refused what the call would have been told.
 */
function withoutForeign(step: Step): Step {
  const { check, outcome, detail } = step;
  const [entity = ''] = check.split('.', 1);
  if (entity !== 'customer' && entity !== 'tag') return step;
  return { check, outcome, detail: outcome === 'deny' ? detail : `of the ${entity}` };
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
    const denied = steps.find(({ outcome }) => outcome === 'deny');
    const { error } = denied ?? {};
    return {
      allowed: denied === undefined,
      rule: denied?.check ?? null,
      status: error?.status ?? 200,
      error: error ? { type: error.type, message: error.message, hint: error.hint ?? null } : null,
      model,
      maxCost: worst ?? null,
      checks: (authority.seesAll ? steps : steps.map(withoutForeign)).map(describeStep),
    };
  },
});
