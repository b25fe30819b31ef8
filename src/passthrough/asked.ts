import type { IncomingHttpHeaders } from 'node:http';
import { isRecord } from '../kernel/record.ts';
import { surveyJson } from '../kernel/json-survey.ts';
import { GatewayError } from '../kernel/errors.ts';
import type { ProxyLimits } from '../proxy/limits.ts';

export type Fields = Readonly<Record<string, unknown>>;

const none: Fields = {};
const isJson = /^application\/(?:[\w.-]+\+)?json\s*(?:;|$)/i;
const boundaryIn = /^multipart\/form-data\s*;.*\bboundary="?([^";\s]{1,70})"?/i;

const invalid = (message: string, hint?: string): GatewayError =>
  new GatewayError('invalid', 'invalid_request_error', message, { hint });

/**
 * The fields of a body, where it is of a kind that has any: a JSON object, or a form, of which only the model is looked for.
 * Undefined where there may be fields that nobody here can see.
 *
 * @throws GatewayError 400 when it could be read in two ways
 */
export function readFields(bytes: Buffer, headers: IncomingHttpHeaders, limits: ProxyLimits): Fields | undefined {
  if (bytes.length === 0) return none;
  const type = headers['content-type'] ?? '';
  if (isJson.test(type)) return readJson(bytes, limits);
  const boundary = boundaryIn.exec(type)?.[1];
  return boundary === undefined ? undefined : readForm(bytes, boundary);
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
]);
const fold = (name: string): string => name.normalize('NFKC').toUpperCase().toLowerCase().replaceAll(/[_-]/g, '');

function refuseSpellings(names: readonly string[]): void {
  for (const name of names) {
    if (/^litellm_/i.test(name)) {
      throw invalid(`${name} is no field of the upstream`, 'Tags go into the header x-litellm-tags.');
    }
    if (spellings.has(name) || !decisive.has(fold(name))) continue;
    throw invalid(`${name} could be read as another field; it has one spelling`);
  }
}

/** The only field of a form that is read is `model`, and only where exactly one part can be taken for it. */
function readForm(bytes: Buffer, boundary: string): Fields | undefined {
  const text = bytes.toString('latin1');
  const names = text.match(/name\*?\s*=\s*"?model\b/gi);
  if (names === null) return none;
  if (names.length > 1) return undefined;
  const part = /\r\ncontent-disposition:\s*form-data;\s*name="model"\r\n\r\n([^\r\n]{1,256})\r\n--/i.exec(text);
  if (!part?.[1] || !text.startsWith(`--${boundary}`, part.index + part[0].length - 2)) return undefined;
  return { model: part[1] };
}
