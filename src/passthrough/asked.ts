import type { IncomingHttpHeaders } from 'node:http';
import { isRecord } from '../kernel/record.ts';
import { surveyJson } from '../kernel/json-survey.ts';
import { GatewayError } from '../kernel/errors.ts';
import { type Part, readMultipart } from '../proxy/endpoints/multipart.ts';
import type { ProxyLimits } from '../proxy/limits.ts';

export type Fields = Readonly<Record<string, unknown>>;

const none: Fields = {};
/** Of the texts of a form: what is longer decides nothing. */
const longestText = 4_096;
const isJson = /^application\/(?:[\w.-]+\+)?json\s*(?:;|$)/i;
const isForm = /^multipart\/form-data\s*;/i;

const invalid = (message: string, hint?: string): GatewayError =>
  new GatewayError('invalid', 'invalid_request_error', message, { hint });

/**
 * The fields of a body, where it is of a kind that has any: a JSON object, or the texts of a form.
 * Undefined where there may be fields that nobody here can see.
 *
 * @throws GatewayError 400 when it could be read in two ways
 */
export function readFields(bytes: Buffer, headers: IncomingHttpHeaders, limits: ProxyLimits): Fields | undefined {
  if (bytes.length === 0) return none;
  const type = headers['content-type'] ?? '';
  if (isJson.test(type)) return readJson(bytes, limits);
  return isForm.test(type) ? readForm(bytes, type) : undefined;
}

function readJson(bytes: Buffer, { bodyDepth, bodyNodes }: ProxyLimits): Fields | undefined {
  const survey = surveyJson(bytes, new Set(), { depth: bodyDepth, nodes: bodyNodes });
  if (survey.depth > bodyDepth || survey.nodes > bodyNodes) {
    throw invalid(
      `The request body is nested more than ${bodyDepth} levels deep, or holds more than ${bodyNodes} values`,
    );
  }
  const body = parse(bytes);
  if (!isRecord(body)) return undefined;
  const names = Object.keys(body);
  // Of two the upstream may heed the one that was not looked at here.
  if (survey.members !== names.length) throw invalid('The request body has a member twice');
  refuseSpellings(names);
  return body;
}

function parse(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString());
  } catch (cause) {
    throw new GatewayError('invalid', 'invalid_json', 'The request body is not valid JSON', { cause });
  }
}

/** Members that decide what a call may cost, or which model it is for, as the most forgiving parser would still read them. */
const decisive = new Set([
  'model',
  'modelid',
  'stream',
  'maxtokens',
  'maxcompletiontokens',
  'maxoutputtokens',
  'generationconfig',
  'inferenceconfig',
  'n',
  'bestof',
  'servicetier',
  'streamoptions',
  'background',
  'speed',
  'inferencegeo',
  'performanceconfig',
]);
const spellings = new Set([
  'model',
  'stream',
  'max_tokens',
  'max_completion_tokens',
  'max_output_tokens',
  'n',
  'best_of',
  'generationConfig',
  'generation_config',
  'inferenceConfig',
  'modelId',
  'model_id',
  'service_tier',
  'serviceTier',
  'stream_options',
  'background',
  'speed',
  'inference_geo',
  'performanceConfig',
]);
const fold = (name: string): string => name.normalize('NFKC').toUpperCase().toLowerCase().replaceAll(/[_-]/g, '');

function refuseSpellings(names: readonly string[]): void {
  const seen = new Set<string>();
  for (const name of names) {
    const folded = fold(name);
    if (decisive.has(folded) && seen.has(folded)) throw invalid(`${name} is in the request body in two spellings`);
    seen.add(folded);
    if (/^litellm_/i.test(name)) {
      throw invalid(`${name} is no field of the upstream`, 'Tags go into the header x-litellm-tags.');
    }
    if (spellings.has(name) || !decisive.has(folded)) continue;
    throw invalid(`${name} could be read as another field; it has one spelling`);
  }
}

/** RFC 2231's ways to write a parameter. Go reads a part's name in them, and few others do. */
const otherName = /[;\s]name\*/i;

/** Undefined for a form that two readers could read differently, in the names of its parts first of all. */
function readForm(bytes: Buffer, type: string): Fields | undefined {
  let parts: readonly Part[];
  try {
    parts = readMultipart(bytes, type);
  } catch {
    // It goes on as it is: what its upstream makes of it is not known here, which is all that follows from it.
    return undefined;
  }
  const names = parts.map(({ name }) => name);
  const once = names.filter((name) => !name.endsWith(']'));
  const isPlain = parts.every(({ name, filename }) => {
    const [first = ''] = name.split('[');
    return !decisive.has(fold(first)) || (first === name && filename === undefined);
  });
  if (!isPlain || new Set(once).size !== once.length || otherName.test(bytes.toString('latin1'))) return undefined;
  refuseSpellings(names);
  const texts = parts.filter(({ filename, bytes: text }) => filename === undefined && text.length <= longestText);
  return Object.fromEntries(texts.map(({ name, bytes: text }) => [name, text.toString()]));
}
