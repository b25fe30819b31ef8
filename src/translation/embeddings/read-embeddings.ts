import type { ReadingRules } from '../client-protocol.ts';
import { type Fields, invalid, Reading } from '../chat/reading.ts';
import type { Embedder, EmbeddingWish } from './embedder.ts';

/** As many texts as OpenAI takes. */
const mostTexts = 2_048;

const known: ReadonlySet<string> = new Set([
  'model',
  'input',
  'encoding_format',
  'dimensions',
  'input_type',
  'task_type',
  // For the gateway alone: whom it has the call booked to.
  'user',
  'metadata',
]);

export interface ReadEmbeddings extends EmbeddingWish {
  readonly texts: readonly string[];
  readonly isBase64: boolean;
  /** Members that were left out, because that was allowed. */
  readonly dropped: readonly string[];
}

/** OpenAI's request of embeddings. @throws GatewayError 400 that names what cannot be expressed */
export function readEmbeddings(fields: Fields, embedder: Embedder, rules: ReadingRules): ReadEmbeddings {
  const reading = new Reading(rules);
  reading.leaveOthersOut(fields, known, '');
  return {
    texts: textsOf(fields['input']),
    isBase64: isBase64(fields['encoding_format']),
    dimensions: dimensionsOf(fields['dimensions'], embedder, reading),
    inputType: wordOf(fields, 'input_type', { taken: embedder.inputTypes, reading }),
    taskType: wordOf(fields, 'task_type', { taken: embedder.taskTypes, reading }),
    dropped: reading.dropped,
  };
}

function textsOf(input: unknown): readonly string[] {
  const texts: readonly unknown[] = Array.isArray(input) ? input : [input];
  if (texts.length > 0 && texts.every((text) => typeof text === 'string' && text !== '')) {
    if (texts.length > mostTexts) throw invalid(`input has more than ${mostTexts} texts`, 'input');
    return texts.filter((text) => typeof text === 'string');
  }
  throw invalid('input must be a text or a list of texts, none of them empty: this model takes no tokens', 'input');
}

function isBase64(format: unknown): boolean {
  if (format === undefined || format === null || format === 'float') return false;
  if (format === 'base64') return true;
  throw invalid('encoding_format must be float or base64', 'encoding_format');
}

function dimensionsOf(value: unknown, { dimensions }: Embedder, reading: Reading): number | undefined {
  if (value === undefined || value === null) return undefined;
  if (typeof value !== 'number' || !Number.isInteger(value) || value < 1) {
    throw invalid('dimensions must be a whole number above 0', 'dimensions');
  }
  if (dimensions === 'any' || dimensions.includes(value)) return value;
  const hint = dimensions.length === 0 ? undefined : `It has ${dimensions.join(', ')}.`;
  reading.leaveOut('dimensions', hint);
  return undefined;
}

function wordOf(
  fields: Fields,
  name: string,
  { taken, reading }: { readonly taken: RegExp | undefined; readonly reading: Reading },
): string | undefined {
  const value = fields[name];
  if (value === undefined || value === null) return undefined;
  if (taken === undefined) reading.leaveOut(name);
  else if (typeof value === 'string' && taken.test(value)) return value;
  else throw invalid(`${name} is none that this model has`, name);
  return undefined;
}
