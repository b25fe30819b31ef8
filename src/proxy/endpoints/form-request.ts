import { isUtf8 } from 'node:buffer';
import { createHash, randomUUID } from 'node:crypto';
import type { Units } from '../../metering/units.ts';
import { refuseFormOverrides } from '../overrides.ts';
import type { ModelRequest, RequestSource } from './endpoint.ts';
import { invalid, modelOf } from './json-request.ts';
import { type Part, readMultipart, writeMultipart } from './multipart.ts';
import { storable } from './tags.ts';

/** The longest text a form may hold: prompts of images have some 32,000 characters. */
const longestText = 256 * 1024;

/** A form that was read: its texts by name, and its files. */
export interface Form {
  readonly parts: readonly Part[];
  /** Texts. One that may come several times, `include[]`, is a list under its name with the brackets. */
  readonly fields: Readonly<Record<string, unknown>>;
  readonly files: readonly Part[];
}

/**
 * @param fileNames of parts that may be files. One that is a file here may be a text to its upstream: Go takes a part with
 *   `filename=""` for one
 * @throws GatewayError 400 when it is no form, says something twice, or names what is the operator's to set
 */
export function readForm({ bytes, headers }: RequestSource, fileNames: RegExp): Form {
  const parts = readMultipart(bytes, headers['content-type']);
  refuseFormOverrides(parts.map(({ name }) => name));
  const fields = new Map<string, string | string[]>();
  for (const part of parts) if (part.filename === undefined) addText(fields, part);
  const files = parts.filter(({ filename }) => filename !== undefined);
  for (const { name } of files) if (!fileNames.test(name)) throw invalid(`${name} must be a text, and no file`, name);
  return { parts, fields: Object.fromEntries(fields), files };
}

function addText(fields: Map<string, string | string[]>, { name, bytes }: Part): void {
  if (bytes.length > longestText) throw invalid(`${name} is longer than ${longestText} bytes`, name);
  if (!isUtf8(bytes)) throw invalid(`${name} is not valid UTF-8`, name);
  const text = bytes.toString();
  if (name.endsWith(']')) fields.set(name, [fields.get(name) ?? [], text].flat());
  // Which of the two an upstream would heed, nobody knows: a model nobody allowed, say.
  else if (fields.has(name)) throw invalid(`${name} is in the form twice`, name);
  else fields.set(name, text);
}

export const textOf = ({ fields }: Form, name: string): string | undefined => {
  const value = fields[name];
  return typeof value === 'string' && value !== '' ? value : undefined;
};

/** @throws GatewayError 400 when it is no positive whole number */
export function countIn(form: Form, name: string): number | undefined {
  const text = textOf(form, name);
  if (text === undefined) return undefined;
  if (/^[1-9]\d{0,8}$/.test(text)) return Number(text);
  throw invalid(`${name} must be a positive whole number`, name);
}

/** What an endpoint makes of a form. */
export interface AskedInForm {
  readonly promptTokens: number;
  readonly maxCompletionTokens: number;
  readonly answers?: number;
  readonly units: Units;
  readonly secondsAtLeast?: () => number;
}

/** A request in a form: what goes upstream is written from its parts, each file byte for byte. */
export class FormRequest implements ModelRequest {
  readonly fields: Readonly<Record<string, unknown>>;
  readonly model: string;
  readonly stream: boolean;
  readonly hidesUsage = false;
  readonly promptTokens: number;
  readonly maxCompletionTokens: number;
  readonly answers: number;
  readonly units: Units;
  readonly secondsAtLeast: (() => number) | undefined;
  readonly serviceTier = undefined;
  readonly endUser: string | undefined;
  readonly tags = [];
  readonly contentType: string;
  readonly #parts: readonly Part[];
  /** Nobody who writes a file can know it. */
  readonly #boundary = `gatewayctl-${randomUUID()}`;

  /** @param parameter the model named in the request's path */
  constructor(form: Form, parameter: string | undefined, asked: AskedInForm) {
    const user = textOf(form, 'user');
    this.fields = form.fields;
    this.model = modelOf(form.fields, parameter);
    this.stream = isTrue(form, 'stream');
    this.promptTokens = asked.promptTokens;
    this.maxCompletionTokens = asked.maxCompletionTokens;
    this.answers = asked.answers ?? 1;
    this.units = asked.units;
    this.secondsAtLeast = asked.secondsAtLeast;
    this.endUser = (user && storable(user)) || undefined;
    this.contentType = `multipart/form-data; boundary=${this.#boundary}`;
    this.#parts = form.parts;
  }

  filesDigest(): Buffer {
    const sum = createHash('sha256');
    for (const { name, filename, contentType, bytes } of this.#parts) {
      if (filename === undefined) continue;
      sum.update(JSON.stringify([name, filename, contentType, bytes.length])).update(bytes);
    }
    return sum.digest();
  }

  bodyFor(upstreamModel: string): readonly Buffer[] {
    const model: Part = {
      name: 'model',
      filename: undefined,
      contentType: undefined,
      bytes: Buffer.from(upstreamModel),
    };
    return writeMultipart([model, ...this.#parts.filter(({ name }) => name !== 'model')], this.#boundary);
  }
}

/** @throws GatewayError 400 for what is neither true nor false: an upstream may take `1` or `on` for either */
function isTrue(form: Form, name: string): boolean {
  const text = textOf(form, name)?.toLowerCase();
  if (text === undefined || text === 'false') return false;
  if (text === 'true') return true;
  throw invalid(`${name} must be true or false`, name);
}
