import { isRecord } from '../kernel/record.ts';
import { setImmediate as breathe } from 'node:timers/promises';

/** Tokens of the frame around each message, and of the answer's opening: OpenAI's cookbook counts 3 and 3, older models 4. */
const perMessage = 4;

/** What one image costs at most with the models of today in their default detail; some are cheaper, few are dearer. */
export const perImage = 1_600;

/** Audio is some 10 to 32 tokens a second; compressed speech has 2 kB a second or more, and Base64 makes 2.7 kB of it. */
const audioCharactersPerToken = 80;

/**
 * UTF-8 bytes per token. English has about 4.5 with o200k_base, code 3 to 4, Chinese 3 to 4, Russian 5 to 6, digits 3; so
 * three is high for nearly everything people write. Only runs of random characters (Base64, hashes) hold more tokens.
 */
const bytesPerToken = 3;

/** A text's tokens, guessed high without a tokenizer: 0.1 µs for a kilobyte, where counting takes 200 to 600 µs. */
export function estimateTokens(text: string): number {
  return Math.ceil(Buffer.byteLength(text) / bytesPerToken);
}

/**
 * The input tokens of a request, guessed high: what a reservation is made for, and what a call is booked with when a crash
 * or a silent upstream leaves nothing better.
 *
 * Every byte of the body counts as text, wherever in it it stands: schemas, names of fields and fields nobody here has
 * heard of are read by a model too. Only what cannot be anything but an image or a clip counts as that instead.
 *
 * @param bytes the length of the whole body
 */
export function estimatePromptTokens({ messages, input }: Readonly<Record<string, unknown>>, bytes: number): number {
  const items: unknown = messages ?? input;
  let characters = 0;
  let tokens = perMessage;
  for (const item of Array.isArray(items) ? items : []) {
    // Texts and numbers among them, as embeddings have, are but bytes.
    if (!isRecord(item)) continue;
    tokens += perMessage;
    for (const found of attachmentsIn(item['content'])) {
      characters += found.characters;
      tokens += found.tokens;
    }
  }
  return Math.ceil(Math.max(0, bytes - characters) / bytesPerToken) + tokens;
}

const none: readonly Attachment[] = [];

/** The result of one of Anthropic's tools has parts of its own: screenshots, for one. */
function attachmentsIn(parts: unknown): readonly Attachment[] {
  if (!Array.isArray(parts)) return none;
  return parts.filter(isRecord).flatMap((part) => {
    if (part['type'] === 'tool_result') return attachmentsIn(part['content']);
    return attachmentIn(part) ?? none;
  });
}

interface Attachment {
  /** They are ASCII, so each is a byte of the body. */
  readonly characters: number;
  readonly tokens: number;
}

const member = (value: unknown, name: string): string => {
  const found = isRecord(value) ? value[name] : undefined;
  return typeof found === 'string' ? found : '';
};

/** OpenAI's attachments, in chats and in responses, and Anthropic's image. */
function attachmentIn(part: Record<string, unknown>): Attachment | undefined {
  switch (part['type']) {
    case 'image_url':
      return image(member(part['image_url'], 'url'));
    case 'input_image':
      return image(member(part, 'image_url'));
    case 'image':
      return base64(member(part['source'], 'data'), () => perImage);
    case 'input_audio':
      return base64(member(part['input_audio'], 'data'), (length) => Math.ceil(length / audioCharactersPerToken));
    default:
      return undefined;
  }
}

const dataUrl = /^data:image\/[\w.+-]{1,64};base64,/;

/** An address is as long as it is: nothing is taken off for it. */
function image(url: string): Attachment | undefined {
  if (/^https?:\/\//.test(url)) return { characters: 0, tokens: perImage };
  const head = dataUrl.exec(url)?.[0];
  return head === undefined ? undefined : base64(url.slice(head.length), () => perImage);
}

const notBase64 = /[^\w+/=-]/;

/** Text that only pretends to be Base64 stays text. */
function base64(data: string, tokensOf: (length: number) => number): Attachment | undefined {
  if (data === '' || notBase64.test(data)) return undefined;
  return { characters: data.length, tokens: tokensOf(data.length) };
}

/** Longer texts are counted up to here and the rest in proportion. */
const countedCharacters = 20_000;

/** The tokenizer runs on the main thread, 0.2 to 0.6 ms a kilobyte: after so many characters others get their turn. */
const charactersAtOnce = 500;

/**
 * What the tokenizer would take as one piece: letters, blanks, or signs in a row. Its time grows with the square of a
 * piece's length (50,000 letters: 9 s; as many Chinese ones: minutes), so a long one is guessed instead.
 */
const pieces = /[\p{L}\p{M}]+|\s+|[^\s\p{L}\p{N}]+|\p{N}+/gu;
const longestPiece = 24;

type Count = (text: string, options: { disallowedSpecial: Set<string> }) => number;
let counter: Promise<Count> | undefined;

/** A model may write `<|endoftext|>` as text; it is counted as the text it is. */
const plain = { disallowedSpecial: new Set<string>() };

/**
 * The tokens of an answer whose usage nobody reported, such as a stream cut in the middle: counted with o200k_base, which
 * is right for OpenAI's models and near for others. The first call loads the vocabulary; keep it off the hot path.
 */
export async function countCompletion(text: string): Promise<number> {
  counter ??= import('gpt-tokenizer/encoding/o200k_base').then(({ countTokens }) => countTokens);
  const count = await counter;
  const head = text.slice(0, countedCharacters);
  let tokens = 0;
  for (const portion of portionsOf(head)) {
    if (tokens > 0) await breathe();
    tokens += countPortion(portion, count);
  }
  return head.length === text.length ? tokens : Math.ceil((tokens / head.length) * text.length);
}

/** A text in parts of about `charactersAtOnce`, cut before a blank where there is one, as the tokenizer would. */
function* portionsOf(text: string): Generator<string> {
  let from = 0;
  while (from < text.length) {
    const end = from + charactersAtOnce;
    const blank = end < text.length ? text.lastIndexOf(' ', end) : -1;
    const to = blank > from ? blank : Math.min(end, text.length);
    yield text.slice(from, to);
    from = to;
  }
}

function countPortion(text: string, count: Count): number {
  let tokens = 0;
  let from = 0;
  for (const { 0: piece, index } of text.matchAll(pieces)) {
    if (piece.length <= longestPiece) continue;
    if (index > from) tokens += count(text.slice(from, index), plain);
    tokens += estimateTokens(piece);
    from = index + piece.length;
  }
  return from < text.length ? tokens + count(text.slice(from), plain) : tokens;
}
