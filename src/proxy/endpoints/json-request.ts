import { isUtf8 } from 'node:buffer';
import { GatewayError } from '../../kernel/errors.ts';
import { type Survey, surveyJson } from '../../kernel/json-survey.ts';
import { isRecord } from '../../kernel/record.ts';
import type { Units } from '../../metering/units.ts';
import { type Members, spliceJson } from '../json-splice.ts';
import type { ProxyLimits } from '../limits.ts';
import { refuseOverrides } from '../overrides.ts';
import { hasWishes, withoutWishes } from '../wishes.ts';
import type { Fit, ModelRequest, NamedResponse, RequestSource } from './endpoint.ts';
import { readTags, storable, takesTagsOut, withoutTags } from './tags.ts';

const surveyed = new Set(['model', 'stream_options', 'previous_response_id']);

export const invalid = (message: string, param?: string, type = 'invalid_request_error'): GatewayError =>
  new GatewayError('invalid', type, message, { param });

/** A body that was read, with where its members lie in it. */
export interface JsonBody {
  readonly bytes: Buffer;
  readonly survey: Survey;
  readonly fields: Readonly<Record<string, unknown>>;
}

/** What an endpoint makes of a body's fields. */
export interface Asked {
  readonly stream?: boolean;
  readonly hidesUsage?: boolean;
  readonly maxCompletionTokens: number | undefined;
  readonly answers?: number;
  /** The body's `user` where it is absent. */
  readonly endUser?: unknown;
  /** The body's `service_tier` where it is absent. */
  readonly serviceTier?: string | undefined;
  /** Headers of the client's that go upstream, names and values in turn. */
  readonly headers?: readonly string[];
  readonly response?: NamedResponse | undefined;
  readonly units?: Units | undefined;
  readonly toolUses?: Units | undefined;
  /** Members that go upstream in the place of the client's, besides the model. */
  readonly members?: Members;
}

/** A request in JSON. What it does not have to change in it goes upstream byte for byte. */
export class JsonRequest implements ModelRequest {
  readonly fields: Readonly<Record<string, unknown>>;
  readonly model: string;
  readonly stream: boolean;
  readonly hidesUsage: boolean;
  readonly maxCompletionTokens: number | undefined;
  readonly answers: number;
  readonly units: Units | undefined;
  readonly toolUses: Units | undefined;
  readonly serviceTier: string | undefined;
  readonly endUser: string | undefined;
  readonly tags: readonly string[];
  readonly headers: readonly string[];
  readonly response: NamedResponse | undefined;
  readonly contentType = 'application/json';
  readonly #body: JsonBody;
  readonly #members: Members;

  constructor(body: JsonBody, model: string, asked: Asked) {
    const { fields } = body;
    const user = asked.endUser ?? fields['user'];
    this.#body = body;
    this.#members = asked.members ?? [];
    this.fields = fields;
    this.model = model;
    this.stream = asked.stream === true;
    this.hidesUsage = asked.hidesUsage === true;
    this.maxCompletionTokens = asked.maxCompletionTokens;
    this.answers = asked.answers ?? 1;
    this.units = asked.units;
    this.toolUses = asked.toolUses;
    this.serviceTier = 'serviceTier' in asked ? asked.serviceTier : textOf(fields, 'service_tier');
    this.headers = asked.headers ?? [];
    this.response = asked.response;
    this.endUser = (typeof user === 'string' && storable(user)) || undefined;
    this.tags = readTags(fields);
  }

  bodyFor(upstreamModel: string, fit?: Fit): Buffer {
    const { fields, survey, bytes } = this.#body;
    const members: Members = [['model', JSON.stringify(upstreamModel)], ...this.#members];
    if (fit || takesTagsOut(fields) || hasWishes(fields) || !canSplice(this.#body, members)) {
      const rest = withoutWishes(withoutTags(fields));
      for (const [name, json] of members) rest[name] = JSON.parse(json);
      return Buffer.from(JSON.stringify(fit ? fit(rest) : rest));
    }
    return spliceJson(bytes, survey, members);
  }
}

/**
 * @param own members that mean something harmless at this endpoint, whatever they do elsewhere
 * @throws GatewayError 400 when it is no JSON object, nested too deep, or names what is the operator's to set
 */
export function readJson(
  { bytes, limits, mayTry = false }: Pick<RequestSource, 'bytes' | 'limits' | 'mayTry'>,
  own?: ReadonlySet<string>,
): JsonBody {
  const survey = surveyWithin(bytes, limits);
  const fields = parse(bytes);
  const names = Object.keys(fields);
  refuseOverrides(own ? names.filter((name) => !own.has(name)) : names, { mayTry });
  return { bytes, survey, fields };
}

function surveyWithin(bytes: Buffer, limits: ProxyLimits): Survey {
  const survey = surveyJson(bytes, surveyed, { depth: limits.bodyDepth, nodes: limits.bodyNodes });
  if (survey.depth > limits.bodyDepth)
    throw invalid(`The request body is nested more than ${limits.bodyDepth} levels deep`);
  if (survey.nodes > limits.bodyNodes) throw invalid(`The request body holds more than ${limits.bodyNodes} values`);
  return survey;
}

function parse(bytes: Buffer): Record<string, unknown> {
  if (!isUtf8(bytes)) throw invalid('The request body is not valid UTF-8', undefined, 'invalid_json');
  let body: unknown;
  try {
    body = JSON.parse(bytes.toString());
  } catch (cause) {
    throw new GatewayError('invalid', 'invalid_json', 'The request body is not valid JSON', { cause });
  }
  if (!isRecord(body)) throw invalid('The request body must be a JSON object', undefined, 'invalid_json');
  return body;
}

/** @param path the model named in the request's path */
export function modelOf(fields: Readonly<Record<string, unknown>>, path: string | undefined): string {
  const model = path ?? fields['model'];
  if (model === undefined || model === null || model === '') throw invalid('model is required', 'model');
  if (typeof model !== 'string') throw invalid('model must be a string', 'model');
  return model;
}

function textOf(fields: Readonly<Record<string, unknown>>, name: string): string | undefined {
  const value = fields[name] ?? undefined;
  if (value === undefined || typeof value === 'string') return value;
  throw invalid(`${name} must be a string`, name);
}

/** Anything else an upstream may take for a number that we do not see: `"100000"`, or 1.5 rounded its own way. */
export function countOf(fields: Readonly<Record<string, unknown>>, name: string): number | undefined {
  const value = fields[name];
  if (value === undefined || value === null) return undefined;
  if (typeof value === 'number' && value > 0 && Number.isSafeInteger(value)) return value;
  throw invalid(`${name} must be a positive whole number`, name);
}

/** LiteLLM's text, which its clients look for. @param path the endpoint's */
export function unknownModel(model: string, path: string): GatewayError {
  const shown = model.length > 200 ? `${model.slice(0, 200)}…` : model;
  return invalid(
    `${path}: Invalid model name passed in model=${shown}. Call \`/v1/models\` to view available models for your key.`,
    'model',
  );
}

/**
 * A name that occurs twice, or is spelled with escapes, could be read one way here and another way upstream: such a
 * body is written anew, with each name once.
 */
function canSplice({ fields, survey }: JsonBody, members: Members): boolean {
  return (
    survey.members === Object.keys(fields).length &&
    members.every(([name]) => survey.values.has(name) || !Object.hasOwn(fields, name))
  );
}
