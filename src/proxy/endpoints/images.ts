import { isRecord } from '../../kernel/record.ts';
import { estimateTokens } from '../../metering/estimate.ts';
import type { Units } from '../../metering/units.ts';
import type { Usage } from '../../metering/usage.ts';
import type { Endpoint, PlainReading, RequestSource } from './endpoint.ts';
import { countIn, FormRequest, readForm, textOf } from './form-request.ts';
import { countOf, invalid, JsonRequest, modelOf, readJson } from './json-request.ts';
import { readMediaTokens, unitsOnly } from './media-usage.ts';

type Fields = Readonly<Record<string, unknown>>;

/** OpenAI's images from a text (https://platform.openai.com/docs/api-reference/images/create). */
export const imageGenerations: Endpoint = {
  callType: 'image_generation',
  path: '/images/generations',
  read: readGeneration,
  unitsOf: (fields) => unitsOf(fields, countOf(fields, 'n') ?? 1),
  readAnswer: readImages,
  readUsage,
  isRaw: ({ stream }) => stream,
};

/** Images from images, and from a text (https://platform.openai.com/docs/api-reference/images/createEdit). */
export const imageEdits: Endpoint = {
  ...imageGenerations,
  callType: 'image_edit',
  path: '/images/edits',
  takesForm: true,
  read: (source) => readImageForm(source, /^image(?:\[\d*\])?$/),
};

/** Variations of an image (https://platform.openai.com/docs/api-reference/images/createVariation). */
export const imageVariations: Endpoint = {
  ...imageEdits,
  callType: 'image_variation',
  path: '/images/variations',
  read: (source) => readImageForm(source, /^image$/),
};

function readGeneration(source: RequestSource): JsonRequest {
  const body = readJson(source);
  const { fields } = body;
  const { stream } = fields;
  if (stream != null && typeof stream !== 'boolean') throw invalid('stream must be true or false', 'stream');
  const answers = countOf(fields, 'n') ?? 1;
  return new JsonRequest(body, modelOf(fields, source.parameter), {
    stream: stream === true,
    maxCompletionTokens: tokensOfOne(fields),
    answers,
    units: unitsOf(fields, answers),
  });
}

/** What an image that is looked at costs at most, in tokens: gpt-image-1 with `input_fidelity: high`. */
const tokensOfSource = 6_500;

function readImageForm(source: RequestSource, names: RegExp): FormRequest {
  const form = readForm(source, /^(?:image|mask)(?:\[\d*\])?$/);
  const images = form.files.filter(({ name }) => names.test(name)).length;
  if (images === 0) throw invalid('image must be a file', 'image');
  const answers = countIn(form, 'n') ?? 1;
  return new FormRequest(form, source.parameter, {
    promptTokens: estimateTokens(textOf(form, 'prompt') ?? '') + images * tokensOfSource,
    maxCompletionTokens: tokensOfOne(form.fields),
    answers,
    units: unitsOf(form.fields, answers),
  });
}

/** What an image takes at most by its quality, in tokens of OpenAI's models; dall-e's two qualities are not paid for like that. */
const tokensByQuality: ReadonlyMap<unknown, number> = new Map([
  ['low', 500],
  ['medium', 1_600],
  ['standard', 0],
  ['hd', 0],
]);
const mostTokens = 6_300;

const tokensOfOne = ({ quality }: Fields): number => tokensByQuality.get(quality) ?? mostTokens;

/** Where the size is left to the upstream, it is no larger. */
const largestOfItsOwn = 1_536 * 1_024;

/** Nor than this where it is asked for in a way that cannot be read here, such as `4K`. */
const longestSide = 4_096;

const unitsOf = (fields: Fields, images: number): Units => ({ images, pixels: images * mostPixels(fields) });

/** Servers that take two sides beside the size, or instead of it, heed either. */
function mostPixels({ size, width, height }: Fields): number {
  const isLeft = size === undefined || size === null || size === 'auto';
  const named = isLeft ? 0 : (pixelsOf(size) ?? longestSide ** 2);
  const hasSides = (width ?? height) != null;
  return Math.max(named, hasSides ? sideOf(width) * sideOf(height) : 0) || largestOfItsOwn;
}

function sideOf(given: unknown): number {
  const side = given === undefined || given === null || given === '' ? 1_024 : Number(given);
  return side > 0 ? side : longestSide;
}

function pixelsOf(size: unknown): number | undefined {
  const [, width, height] = /^(\d{1,5})x(\d{1,5})$/.exec(typeof size === 'string' ? size : '') ?? [];
  return width && height ? Number(width) * Number(height) : undefined;
}

function readImages({ data, usage, size }: Fields): PlainReading | undefined {
  if (!Array.isArray(data)) return undefined;
  return { usage: { usage, images: data.length, size }, serviceTier: undefined, written: () => '' };
}

/** @param reported as `readImages` puts it together, or the last event of a stream */
function readUsage(reported: unknown): Usage | undefined {
  if (!isRecord(reported)) return undefined;
  const { usage, images, size } = reported;
  const tokens = readMediaTokens(usage, 'images');
  if (typeof images !== 'number') return tokens;
  const pixels = pixelsOf(size);
  const units = { images, ...(pixels !== undefined && { pixels: pixels * images }) };
  return tokens ? { ...tokens, units } : unitsOnly(units);
}
