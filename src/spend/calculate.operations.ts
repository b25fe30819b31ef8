import { z } from 'zod';
import { GatewayError } from '../kernel/errors.ts';
import { label } from '../kernel/fields.ts';
import { usd } from '../kernel/money.ts';
import { operation } from '../kernel/operation.ts';
import { answer, wire } from '../kernel/wire.ts';
import type { Deployment } from '../models/deployment.ts';

export interface ToPrice {
  readonly deployment: Deployment | undefined;
  readonly model: string;
  readonly response: Readonly<Record<string, unknown>> | undefined;
  readonly messages: readonly unknown[] | undefined;
  readonly at: Date;
}

export interface Priced {
  /** Nano-dollars. */
  readonly cost: bigint;
  readonly usage: { readonly promptTokens: number; readonly completionTokens: number; readonly estimated: boolean };
}

export interface Needs {
  models: { all: (filter: { modelName?: string | undefined }) => Promise<Deployment[]> };
  priceOf: (asked: ToPrice) => Promise<Priced | undefined>;
  now: Date;
}

const json = z.record(z.string(), z.unknown());

const unpriced = (model: string) =>
  new GatewayError('invalid', 'unpriced_model', `No price is known for ${model}`, {
    param: 'model',
    hint: 'An operator sets one: input_cost_per_token and output_cost_per_token of the model.',
  });

export const calculateSpend = operation({
  command: ['spend', 'calculate'],
  route: ['POST', '/spend/calculate'],
  summary: 'Say what a call would cost',
  description:
    'By the prices that calls are booked at. The tokens are those that the answer reports, or, without an answer, those of the messages as they are counted here.',
  input: wire({
    model: label.optional().describe('The model; of an answer that names one it may be absent'),
    messages: z.array(json).max(10_000).optional().describe('Messages of a request, whose input alone is priced'),
    completionResponse: json.optional().describe('The answer of a call, with its usage'),
  }),
  output: answer({
    cost: usd.describe('US dollars'),
    promptTokens: z.int().describe('Input tokens'),
    completionTokens: z.int().describe('Output tokens'),
    usageEstimated: z.boolean().describe('Whether the tokens were counted here'),
  }),
  unserved: ['call_type'],
  access: 'scoped',
  isRead: true,
  cli: {
    flags: {
      model: { name: 'model', placeholder: 'model', completes: 'model' },
      completion_response: { name: 'answer', placeholder: '@file|-' },
    },
    examples: [['An answer in a file', 'gatewayctl spend calculate --answer @answer.json']],
  },
  run: async ({ models, priceOf, now }: Needs, { model: named, messages, completionResponse: response }) => {
    if ((messages === undefined) === (response === undefined)) {
      throw new GatewayError('invalid', 'invalid_request_error', 'Give either messages or completion_response', {
        param: 'messages',
      });
    }
    const ofAnswer = response?.['model'];
    const model = named ?? (typeof ofAnswer === 'string' ? ofAnswer : undefined);
    if (model === undefined) {
      throw new GatewayError('invalid', 'invalid_request_error', 'model: was not given', { param: 'model' });
    }
    const [deployment] = await models.all({ modelName: model });
    const priced = await priceOf({ deployment, model, response, messages, at: now });
    if (!priced) throw unpriced(model);
    const { cost, usage } = priced;
    return { cost, ...usage, usageEstimated: usage.estimated };
  },
});
