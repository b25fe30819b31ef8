import { GatewayError } from '../../kernel/errors.ts';
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
 * What a batch costs is known when it is over, and then nobody waits for it whom a budget could stop. So it is nothing for
 * whoever has one.
 */
export function refuseBudgeted({ charge }: Exchange): void {
  const budget = charge.budgets.find(({ max }) => max !== null);
  if (!budget) return;
  throw new GatewayError(
    'forbidden',
    'unpriced_call',
    `What a batch costs is not known before it is over, and the budget of ${budget.entity} ${budget.label} applies`,
    { param: 'input_file_id', hint: 'Make the calls one by one, or use a key without a budget.' },
  );
}
