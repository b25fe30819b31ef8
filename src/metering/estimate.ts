/** Tokens of the frame around each message, and of the answer's opening: OpenAI's cookbook counts 3 and 3, older models 4. */
const perMessage = 4;

/** What one image costs at most with the models of today in their default detail; some are cheaper, few are dearer. */
const perImage = 1_600;

/** Audio is some 10 to 32 tokens a second; compressed speech has 2 kB a second or more, and Base64 makes 2.7 kB of it. */
const audioCharactersPerToken = 80;

/**
 * UTF-8 bytes per token. English has about 4.5 with o200k_base, code 3 to 4, Chinese 3 to 4, Russian 5 to 6, digits 3; so
 * three is high for nearly everything people write. Only runs of random characters (Base64, hashes) hold more tokens.
 */
const bytesPerToken = 3;

/** Deeper than any request of a sane client; it keeps a hostile one from exhausting the stack. */
const deepest = 32;

/** A text's tokens, guessed high without a tokenizer: 0.1 µs for a kilobyte, where counting takes 200 to 600 µs. */
export function estimateTokens(text: string): number {
  return Math.ceil(Buffer.byteLength(text) / bytesPerToken);
}

/**
 * The input tokens of a request, guessed high: what a reservation is made for, and what a call is booked with when a crash
 * or a silent upstream leaves nothing better. Takes the part of the body that is input: messages, tools, a prompt.
 */
export function estimatePromptTokens(input: unknown): number {
  return Math.ceil(weigh(input, 0)) + perMessage;
}

function weigh(value: unknown, depth: number): number {
  if (typeof value === 'string') return isImage(value) ? perImage : Buffer.byteLength(value) / bytesPerToken;
  if (typeof value === 'number' || typeof value === 'boolean') return 1;
  if (typeof value !== 'object' || value === null || depth > deepest) return 0;

  let tokens = 0;
  if (Array.isArray(value)) {
    for (const item of value) tokens += weigh(item, depth + 1) + (depth === 0 ? perMessage : 1);
    return tokens;
  }
  for (const [name, member] of Object.entries(value)) {
    if (name === 'input_audio') tokens += audioTokens(member);
    else if (name === 'image_url' || isImageSource(member)) tokens += perImage;
    else tokens += weigh(member, depth + 1) + 1;
  }
  return tokens;
}

const isImage = (text: string): boolean => text.startsWith('data:image/');

/** Anthropic's images: `source: { type: 'base64', media_type, data }`. */
const isImageSource = (value: unknown): boolean =>
  typeof value === 'object' &&
  value !== null &&
  'media_type' in value &&
  typeof value.media_type === 'string' &&
  value.media_type.startsWith('image/');

function audioTokens(audio: unknown): number {
  const data = typeof audio === 'object' && audio !== null && 'data' in audio ? audio.data : undefined;
  return typeof data === 'string' ? data.length / audioCharactersPerToken : 0;
}

/** Longer texts are counted up to here and the rest in proportion: the tokenizer runs on the main thread, 0.2 to 0.6 ms a kilobyte. */
const countedCharacters = 50_000;

type Count = (text: string, options: { disallowedSpecial: Set<string> }) => number;
let counter: Promise<Count> | undefined;

/**
 * The tokens of an answer whose usage nobody reported, such as a stream cut in the middle: counted with o200k_base, which
 * is right for OpenAI's models and near for others. The first call loads the vocabulary; keep it off the hot path.
 */
export async function countCompletion(text: string): Promise<number> {
  counter ??= import('gpt-tokenizer/encoding/o200k_base').then(({ countTokens }) => countTokens);
  const count = await counter;
  const head = text.slice(0, countedCharacters);
  // A model may write `<|endoftext|>` as text; it is counted as the text it is.
  const tokens = count(head, { disallowedSpecial: new Set() });
  return head.length === text.length ? tokens : Math.ceil((tokens / head.length) * text.length);
}
