import { z } from 'zod';
import { label } from '../kernel/fields.ts';
import { operation } from '../kernel/operation.ts';
import { answer, timestamp, wire } from '../kernel/wire.ts';
import type { TokenTest } from '../jwt/token-test.ts';
import { checkInfo, describeStep } from './step.wire.ts';

interface Needs {
  tokenTest: Pick<TokenTest, 'test'>;
}

const orNull = z.string().nullable();

export const testToken = operation({
  command: ['jwt', 'test'],
  route: ['POST', '/jwt/test'],
  summary: 'Verify a JWT, and say whom it stands for',
  description:
    'Runs the checks that a token goes through at the front door and, with a model or a route, those of a call. Nobody ' +
    'is made: what the first call would make is said instead.',
  access: 'admin',
  isRead: true,
  input: wire({
    token: z.string().min(1).max(16_384).describe('The token'),
    model: label.optional().describe('A model to ask about'),
    route: label.optional().describe('A path that calls a model; /v1/chat/completions when only a model is given'),
  }),
  output: answer({
    valid: z.boolean().describe('Whether the token is good and stands for somebody'),
    allowed: z.boolean().describe('Whether nothing stands in the way of it, and of the call that was asked about'),
    issuer: orNull.describe('Who issued it'),
    subject: orNull.describe('To whom, by the claim sub'),
    userId: orNull.describe('The user it stands for'),
    teamId: orNull.describe('The team it acts in'),
    organizationId: orNull.describe('The organization'),
    role: orNull.describe('The role'),
    customer: orNull.describe('The customer its calls are made for'),
    expiresAt: timestamp.nullable().describe('Up to when it is accepted'),
    checks: z.array(answer(checkInfo)).describe('All checks, in the order in which a request meets them'),
  }),
  cli: {
    flags: {
      token: { name: 'token', placeholder: '@file|-|os.environ/NAME', isSecret: true },
      model: { name: 'model', placeholder: 'model' },
    },
    completes: { model: 'model' },
    result: 'checks',
    columns: ['outcome', 'check', 'detail'],
    id: 'check',
    no: ({ allowed }) => (allowed === true ? undefined : 'The token is refused, or the call is.'),
    examples: [
      ['Whom a token stands for', 'gatewayctl jwt test --token @token.jwt'],
      ['Whether it may call a model', 'gatewayctl jwt test --token - --model gpt-4o'],
    ],
  },
  run: async ({ tokenTest }: Needs, { token, model, route }) => {
    const path = route ?? '/v1/chat/completions';
    const asked = { path, customer: undefined, tags: [], promptTokens: undefined, body: undefined, address: undefined };
    const isAsked = model !== undefined || route !== undefined;
    const { steps, principal } = await tokenTest.test({
      token,
      call: isAsked ? { ...asked, model: model ?? '' } : undefined,
    });
    const {
      userId = null,
      teamId = null,
      organizationId = null,
      role = null,
      token: bearer,
      expiresAt,
    } = principal ?? {};
    return {
      valid: principal !== undefined,
      allowed: principal !== undefined && steps.every(({ outcome }) => outcome !== 'deny'),
      issuer: bearer?.issuer ?? null,
      subject: bearer?.subject ?? null,
      userId,
      teamId,
      organizationId,
      role,
      customer: bearer?.customer ?? null,
      expiresAt: typeof expiresAt === 'number' ? new Date(expiresAt) : null,
      checks: steps.map(describeStep),
    };
  },
});
