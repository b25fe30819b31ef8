import { hash } from 'node:crypto';
import { GatewayError } from '../kernel/errors.ts';
import { isRecord } from '../kernel/record.ts';

/** More than LiteLLM's own list has by a factor of ten: what is larger is some other file. */
export const PRICE_FILE_BYTES = 32 * 1024 * 1024;
const entriesAtMost = 50_000;
const problemsAtMost = 20;

/** What a price file says of one model: LiteLLM's fields, of which those are read that a `model_info` may have. */
export type PriceEntry = Readonly<Record<string, unknown>>;

/** An operator's prices by model, and a version that changes with every byte. */
export interface PriceFile {
  readonly version: string;
  readonly entries: ReadonlyMap<string, PriceEntry>;
}

/** LiteLLM's list begins with an entry that says what the fields mean. */
const explanation = 'sample_spec';

/**
 * Reads a price file: LiteLLM's `model_prices_and_context_window.json`, or a part of one. It is believed whole or not at
 * all, because half a list would bill the other half by something else.
 *
 * @param check throws `invalid_price` for an entry that has a price which is none
 * @throws GatewayError `invalid_price_file` that lists what is wrong
 */
export function readPriceFile(text: string, check: (name: string, entry: PriceEntry) => void): PriceFile {
  const all = parse(text);
  const entries = new Map<string, PriceEntry>();
  const problems: string[] = [];
  for (const [name, entry] of Object.entries(all)) {
    if (name === explanation) continue;
    if (!isRecord(entry)) {
      problems.push(`${name}: is not an object`);
      continue;
    }
    try {
      check(name, entry);
      entries.set(name, entry);
    } catch (thrown) {
      if (!(thrown instanceof GatewayError)) throw thrown;
      problems.push(thrown.message);
    }
  }
  if (entries.size > entriesAtMost) problems.push(`has more than ${entriesAtMost} models`);
  if (problems.length > 0) throw invalid(problems);
  return { version: `file ${hash('sha256', text).slice(0, 12)}`, entries };
}

function parse(text: string): Record<string, unknown> {
  if (Buffer.byteLength(text) > PRICE_FILE_BYTES) throw invalid([`is larger than ${PRICE_FILE_BYTES} bytes`]);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw invalid([cause instanceof Error ? cause.message : 'is no JSON'], cause);
  }
  if (!isRecord(value)) throw invalid(['is not an object with a model to each member']);
  return value;
}

function invalid(problems: readonly string[], cause?: unknown): GatewayError {
  const shown = problems.slice(0, problemsAtMost);
  const rest = problems.length - shown.length;
  return new GatewayError(
    'config',
    'invalid_price_file',
    `The price file cannot be used: ${shown.join('; ')}${rest > 0 ? `; and ${rest} more` : ''}`,
    {
      hint: 'It is JSON as in model_prices_and_context_window.json: {"gpt-4o": {"input_cost_per_token": 2.5e-6, "output_cost_per_token": 1e-5}}.',
      cause,
    },
  );
}

/** Under which names a model may stand in a price file, the most particular first. */
export function entryOf({ entries }: PriceFile, provider: string, model: string): PriceEntry | undefined {
  const own = entries.get(`${provider}/${model}`);
  if (own) return own;
  const plain = entries.get(model);
  // The same model costs something else at another provider.
  const owner = plain?.['litellm_provider'];
  return plain && (typeof owner !== 'string' || owner === provider || model.startsWith(`${provider}/`))
    ? plain
    : undefined;
}
