import type { ParsedUrlQuery } from 'node:querystring';
import type { z } from 'zod';
import { GatewayError } from '../kernel/errors.ts';
import { describeField, type WireField, wireSchema } from '../kernel/wire.ts';

/** A query string as the JSON it stands for: numbers, yes and no, lists by comma or by repetition. An empty value is absent. */
export function readQuery(schema: z.ZodType, query: ParsedUrlQuery): Record<string, unknown> {
  const fields = wireSchema(schema).properties ?? {};
  const input: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(query)) {
    if (value === undefined || value === '') continue;
    const field = fields[name];
    // What is no field of ours may be one of LiteLLM's: only then is a plain yes or no told apart.
    input[name] = readValue(
      name,
      field ? describeField(field) : { type: isYesNo(value) ? 'boolean' : 'string' },
      value,
    );
  }
  return input;
}

// Python's clients send True and False, people 1 and 0.
const yes = /^(true|1)$/i;
const no = /^(false|0)$/i;

const isYesNo = (value: string | string[]): boolean => typeof value === 'string' && /^(true|false)$/i.test(value);

function readValue(name: string, { type }: WireField, value: string | string[]): unknown {
  if (type === 'array') return [value].flat().flatMap((text) => text.split(','));
  if (typeof value !== 'string') {
    throw new GatewayError('invalid', 'invalid_request_error', `${name}: given more than once`, { param: name });
  }
  if (type === 'number' || type === 'integer') return /^-?\d+(\.\d+)?$/.test(value) ? Number(value) : value;
  if (type === 'boolean') return yes.test(value) ? true : no.test(value) ? false : value;
  return value;
}
