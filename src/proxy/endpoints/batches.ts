import { GatewayError } from '../../kernel/errors.ts';
import { isBounded, unknownSize } from '../../metering/batch.ts';
import type { Exchange } from '../exchange.ts';
import { batchEndpoints } from './batch-lines.ts';
import type { Endpoint, ModelRequest, RequestSource } from './endpoint.ts';
import { invalid, readJson } from './json-request.ts';
import { keptDeed, keptObject, namedAs, nothingAsked } from './kept-objects.ts';

/** Many calls, made within a day (https://platform.openai.com/docs/api-reference/batch/create). */
export const createBatch: Endpoint = {
  callType: 'create_batch',
  path: '/batches',
  ...keptObject('batch'),
  read: readBatch,
};

export const getBatch = keptDeed({ callType: 'retrieve_batch', object: 'batch', method: 'GET' });
export const cancelBatch = keptDeed({ callType: 'cancel_batch', object: 'batch', method: 'POST', tail: '/cancel' });

const known: ReadonlySet<string> = new Set([
  'input_file_id',
  'endpoint',
  'completion_window',
  'metadata',
  'output_expires_after',
]);

/** It goes where its file is. */
function readBatch(source: RequestSource): ModelRequest {
  const { fields } = readJson(source, known);
  const stranger = Object.keys(fields).find((name) => !known.has(name));
  if (stranger !== undefined) throw invalid(`${stranger} is no field of a batch`, stranger, 'unsupported_field');
  const { input_file_id: id, endpoint } = fields;
  if (typeof id !== 'string') throw invalid('input_file_id must be a string', 'input_file_id');
  if (typeof endpoint !== 'string' || !batchEndpoints.has(endpoint)) {
    throw invalid(`endpoint must be one of ${[...batchEndpoints].join(', ')}`, 'endpoint');
  }
  const response = namedAs(id, ['batchInput'], 'input_file_id');
  const body = Buffer.from(JSON.stringify({ ...fields, input_file_id: response.kept.upstreamId }));
  return {
    ...nothingAsked,
    fields,
    model: response.kept.model,
    response,
    contentType: 'application/json',
    bodyFor: () => body,
  };
}

/**
 * Finds out what the calls of a batch can use at most, which is booked until it is over. Where nothing limits that, a
 * batch is nothing for whoever has a budget: when its cost is known, nobody waits for it whom the budget could stop.
 */
export async function sizeBatch(exchange: Exchange): Promise<void> {
  const { asked, context, routed } = exchange;
  const size = asked.response && (await context.deps.keptObjects?.batchSize(asked.response.id));
  exchange.asked = { ...asked, batch: size ?? unknownSize };
  const isKnown = size && routed?.group.deployments.every((each) => isBounded(size, each));
  if (!isKnown && context.deps.refusesUnsized) refuseBudgeted(exchange);
}

function refuseBudgeted({ charge }: Exchange): void {
  const budget = charge.budgets.find(({ max }) => max !== null);
  if (!budget) return;
  throw new GatewayError(
    'forbidden',
    'unpriced_call',
    `What this batch can cost at most is not known, and the budget of ${budget.entity} ${budget.label} applies`,
    {
      param: 'input_file_id',
      hint: 'Upload the file through this gateway with max_tokens in every line. An operator sets max_output_tokens of the model, or unsized_batches to allow.',
    },
  );
}
