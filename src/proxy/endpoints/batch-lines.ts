import { isUtf8 } from 'node:buffer';
import { isRecord } from '../../kernel/record.ts';
import type { BatchSize } from '../../metering/batch.ts';
import { estimatePromptTokens } from '../../metering/estimate.ts';
import { refuseOverrides } from '../overrides.ts';
import { answersOf } from './chat-completions.ts';
import { countOf, invalid } from './json-request.ts';

/** As many as OpenAI takes. */
const mostLines = 50_000;

/** Calls that can be in a batch. */
export const batchEndpoints: ReadonlySet<string> = new Set([
  '/v1/chat/completions',
  '/v1/completions',
  '/v1/embeddings',
  '/v1/responses',
]);

/** Those of them that write: each answer may be as long as the model can make it. */
const writing: ReadonlySet<string> = new Set([...batchEndpoints].filter((url) => url !== '/v1/embeddings'));

/** What a file of calls is for, and what they can use at most. */
export interface BatchLines {
  readonly model: string;
  readonly size: BatchSize;
}

interface Line {
  /** Bytes of it. */
  readonly length: number;
  readonly fields: Readonly<Record<string, unknown>>;
  readonly body: Readonly<Record<string, unknown>>;
}

/**
 * What names something that the provider keeps. Lines go there as they stand, so that an id of this gateway's means nothing
 * in them, and one of the provider's could be anybody's.
 */
const neverInBatch = ['previous_response_id', 'conversation', 'background'] as const;

/**
 * The model that all calls of a batch are for, and their size. Each is looked at, because each goes to the upstream as it stands: a model
 * nobody allowed, or an `api_base`, must not get there in a file.
 *
 * @throws GatewayError 400 that names the line
 */
export function readLines(file: Buffer): BatchLines {
  let model: string | undefined;
  const size = { lines: 0, promptTokens: 0, completionTokens: 0, openAnswers: 0 };
  for (const [number, line] of linesOf(file)) {
    const { body } = line;
    const named = body['model'];
    if (typeof named !== 'string' || named === '') throw broken(number, 'has no model in its body');
    if (model !== undefined && named !== model) throw broken(number, 'is for another model than those before it');
    model = named;
    refuseOverrides(Object.keys(body));
    const kept = neverInBatch.find((name) => body[name] != null && body[name] !== false);
    if (kept !== undefined) throw broken(number, `has ${kept}, which a call in a batch cannot have`);
    addTo(size, line);
  }
  if (model === undefined) throw invalid('The file has no line', 'file');
  return { model, size };
}

/** @throws GatewayError 400 for a limit that is none */
function addTo(size: { -readonly [Name in keyof BatchSize]: BatchSize[Name] }, { fields, body, length }: Line): void {
  size.lines++;
  size.promptTokens += estimatePromptTokens(body, length);
  const { url } = fields;
  if (typeof url !== 'string' || !writing.has(url)) return;
  const answers = answersOf(body);
  const limits = ['max_completion_tokens', 'max_tokens', 'max_output_tokens'].map((name) => countOf(body, name));
  const known = limits.filter((limit) => limit !== undefined);
  // Whichever of several the upstream goes by, it is not more than the largest.
  if (known.length > 0) size.completionTokens += answers * Math.max(...known);
  else size.openAnswers += answers;
}

/** The same calls under the upstream's name of their model. */
export function linesFor(file: Buffer, upstreamModel: string): Buffer {
  const lines: string[] = [];
  for (const [, { fields, body }] of linesOf(file)) {
    lines.push(JSON.stringify({ ...fields, body: { ...body, model: upstreamModel } }));
  }
  return Buffer.from(`${lines.join('\n')}\n`);
}

function* linesOf(file: Buffer): Generator<readonly [number: number, line: Line]> {
  if (!isUtf8(file)) throw invalid('The file is not valid UTF-8', 'file');
  let number = 0;
  for (let from = 0; from < file.length;) {
    const end = file.indexOf(0x0a, from);
    const text = file.toString('utf8', from, end < 0 ? file.length : end).trim();
    from = end < 0 ? file.length : end + 1;
    number++;
    if (text === '') continue;
    if (number > mostLines) throw invalid(`The file has more than ${mostLines} lines`, 'file');
    yield [number, { ...readLine(text, number), length: Buffer.byteLength(text) }];
  }
}

function readLine(text: string, number: number): Omit<Line, 'length'> {
  let fields: unknown;
  try {
    fields = JSON.parse(text);
  } catch {
    throw broken(number, 'is not JSON');
  }
  if (!isRecord(fields) || !isRecord(fields['body'])) throw broken(number, 'is no object with a body');
  const { method, url, body } = fields;
  if (method !== 'POST' || typeof url !== 'string' || !batchEndpoints.has(url)) {
    throw broken(number, `must be a POST to one of ${[...batchEndpoints].join(', ')}`);
  }
  return { fields, body };
}

const broken = (number: number, what: string) => invalid(`Line ${number} of the file ${what}`, 'file');
