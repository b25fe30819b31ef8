import { GatewayError } from '../kernel/errors.ts';
import { requireSome } from '../kernel/model-list.ts';
import type { KeyFields, ModelEdits } from './key.changes.ts';

/**
 * The changes with the list of models that edits make of the one there is. The row is locked, so that of two edits at
 * the same time neither undoes the other.
 *
 * @throws GatewayError 400 when the list would end up meaning something else than the edit says
 */
export function withEdits(
  present: readonly string[],
  { addModels, removeModels, ...changes }: KeyFields & ModelEdits,
): KeyFields {
  if (!addModels && !removeModels) return changes;
  const param = addModels ? 'add_models' : 'remove_models';
  if (changes.models !== undefined) {
    throw invalid('Both a list of models and edits of it were given', { param, hint: 'Give one of them.' });
  }
  // An empty list is every model: an entry more would take all others away.
  if (present.length === 0) {
    throw invalid('The key may call every model', { param, hint: 'Name those it may call: --models a,b' });
  }
  const absent = removeModels?.find((model) => !present.includes(model));
  if (absent !== undefined) {
    throw invalid(`"${absent}" is not in the list of the key: ${present.join(', ')}`, {
      param: 'remove_models',
      hint: 'Only entries can be taken away, not what a pattern among them lets through.',
    });
  }
  const models = [...new Set([...present.filter((model) => !removeModels?.includes(model)), ...(addModels ?? [])])];
  requireSome(models, 'remove_models', 'gatewayctl key update KEY --models no-default-models');
  return { ...changes, models };
}

const invalid = (message: string, details: { param: string; hint: string }) =>
  new GatewayError('invalid', 'invalid_request_error', message, details);
