import { z } from 'zod';
import { GatewayError } from './errors.ts';
import { looksRandom } from './mask.ts';
import { suggest } from './suggest.ts';

/** The name under which a field written in camelCase travels. */
export const wireName = (name: string) => name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);

function rename(object: Record<string, unknown>, to: (key: string) => string): Record<string, unknown> {
  const renamed: Record<string, unknown> = {};
  for (const key in object) if (object[key] !== undefined) renamed[to(key)] = object[key];
  return renamed;
}

type Shape = Record<string, z.ZodType>;

function codec<const S extends Shape>(shape: S, object: (fields: Shape) => z.ZodObject) {
  const camel = new Map(Object.keys(shape).map((key) => [wireName(key), key]));
  const fields = Object.fromEntries(Object.entries(shape).map(([key, field]) => [wireName(key), field]));

  return z.codec(object(fields), z.custom<z.output<z.ZodObject<S>>>(), {
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the object schema has just checked every field
    decode: (json) => rename(json, (key) => camel.get(key) ?? key) as never,
    encode: (value) => rename(value, wireName),
  });
}

/**
 * An object written once, in camelCase, that travels as snake_case JSON. A field nobody declared is refused.
 *
 * Only the names declared here are respelled. What a caller puts inside `metadata` is the caller's and comes back
 * exactly as it was sent.
 */
export const wire = <const S extends Shape>(shape: S) => codec(shape, (fields) => z.strictObject(fields));

/**
 * The same for an answer: what is not declared cannot leave, and what a newer daemon adds is passed over.
 */
export const answer = <const S extends Shape>(shape: S) => codec(shape, (fields) => z.object(fields));

/** A moment: a Date here, ISO 8601 on the way. */
export const timestamp = z.codec(z.iso.datetime({ offset: true }).meta({ format: 'date-time' }), z.date(), {
  decode: (text) => new Date(text),
  encode: (date) => date.toISOString(),
});

const isEmpty = (value: unknown): boolean =>
  value === null ||
  value === '' ||
  value === false ||
  (Array.isArray(value) && value.length === 0) ||
  (typeof value === 'object' && Object.keys(value).length === 0);

function withoutUnserved(given: unknown, unserved: readonly string[]): unknown {
  if (typeof given !== 'object' || given === null || Array.isArray(given)) return given;
  const rest: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(given)) {
    if (!unserved.includes(name)) rest[name] = value;
    else if (!isEmpty(value)) {
      throw new GatewayError(
        'invalid',
        'unsupported_field',
        `${name} is a LiteLLM field that gatewayctl does not serve yet`,
        {
          param: name,
          hint: `Leave ${name} out: it would have no effect, and a setting without effect is worse than none.`,
        },
      );
    }
  }
  return rest;
}

/**
 * Reads what arrived from outside, blaming the first field that is wrong.
 *
 * @param unserved fields that LiteLLM knows and we do not serve: accepted only when null or empty
 */
export function read<Schema extends z.ZodType>(
  schema: Schema,
  given: unknown,
  unserved: readonly string[] = [],
): z.output<Schema> {
  const result = schema.safeParse(withoutUnserved(given, unserved));
  if (result.success) return result.data;

  const issue = nearest(result.error.issues[0]);
  if (issue?.code === 'unrecognized_keys') throw unknownField(schema, issue.keys[0] ?? '', issue.path);
  const param = issue?.path.join('.') || undefined;
  const message = issue?.message ?? 'The input is not valid';
  throw new GatewayError('invalid', 'invalid_request_error', param ? `${param}: ${message}` : message, {
    param,
    cause: result.error,
  });
}

/** What is wrong in the form of a union that comes nearest to what was given: the one that fails deepest. */
function nearest(issue: z.core.$ZodIssue | undefined): z.core.$ZodIssue | undefined {
  if (issue?.code !== 'invalid_union') return issue;
  const forms = issue.errors.flatMap(([first]) => {
    const inner = nearest(first);
    return inner ? [inner] : [];
  });
  const [best] = forms.toSorted((one, other) => depthOf(other) - depthOf(one));
  return best && depthOf(best) > 0 ? { ...best, path: [...issue.path, ...best.path] } : issue;
}

const depthOf = ({ code, path }: z.core.$ZodIssue): number => path.length + (code === 'unrecognized_keys' ? 1 : 0);

function unknownField(schema: z.ZodType, name: string, path: readonly PropertyKey[]): GatewayError {
  // A value in the place of a name is not repeated. No field is called like that.
  const param = [...path, looksRandom(name) ? '…' : name].join('.');
  const known = path.length === 0 ? Object.keys(wireSchema(schema).properties ?? {}) : [];
  const near = suggest(name, known);
  return new GatewayError('invalid', 'unknown_field', `Unknown field ${param}`, {
    param,
    hint: near ? `Did you mean ${near}?` : undefined,
  });
}

/** A field as JSON Schema: the part of it that `wire` can make. */
export interface WireField {
  type?: string;
  format?: string;
  description?: string;
  default?: unknown;
  enum?: string[];
  minimum?: number;
  maximum?: number;
  items?: WireField;
  anyOf?: WireField[];
  properties?: Record<string, WireField>;
}

export interface WireSchema {
  type?: string;
  properties?: Record<string, WireField>;
  required?: string[];
  items?: WireSchema;
}

const schemas = new WeakMap<z.ZodType, WireSchema>();

/** What travels, as JSON Schema: the source of command-line options and of the OpenAPI document. */
export function wireSchema(schema: z.ZodType): WireSchema {
  let made = schemas.get(schema);
  if (!made) {
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the part of JSON Schema that `wire` can make
    made = z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' }) as WireSchema;
    schemas.set(schema, made);
  }
  return made;
}

/** What a field holds when it holds something: the type without null, and whether null clears it. */
export function describeField(field: WireField): WireField & { nullable: boolean } {
  // zod folds the plainest case of `nullable()` into the type: `['string', 'null']`.
  const types: unknown = field.type;
  if (Array.isArray(types)) {
    const type = String(types.find((each) => each !== 'null'));
    return { ...field, type, nullable: types.includes('null') };
  }
  const value = (field.anyOf ?? [field]).find(({ type }) => type !== 'null');
  return { ...field, ...value, nullable: field.anyOf?.some(({ type }) => type === 'null') ?? false };
}
