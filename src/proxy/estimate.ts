/** Counting tokens; the metering has a tokenizer for it, and without one these are guesses that err on the high side. */
export interface TokenCounter {
  promptTokens(fields: Readonly<Record<string, unknown>>, bytes: number): number;
  completionTokens(text: string): number | Promise<number>;
}

/** What a provider charges at most for an image or a clip of unknown size, in the order of magnitude. */
const attachmentTokens = 1_500;

const isRecord = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null;

/** Bytes of a message that are an attachment's and not text. */
function attachments(messages: unknown): { count: number; bytes: number } {
  const found = { count: 0, bytes: 0 };
  if (!Array.isArray(messages)) return found;
  for (const message of messages) {
    const parts: unknown = isRecord(message) ? message['content'] : undefined;
    if (!Array.isArray(parts)) continue;
    for (const part of parts) {
      if (!isRecord(part) || part['type'] === 'text') continue;
      found.count++;
      found.bytes += longestString(part, 3);
    }
  }
  return found;
}

function longestString(value: unknown, depth: number): number {
  if (typeof value === 'string') return value.length;
  if (!isRecord(value) || depth === 0) return 0;
  return Math.max(0, ...Object.values(value).map((member) => longestString(member, depth - 1)));
}

/** A token for every three bytes of the request: English has four, and JSON's own bytes are counted in. */
export const guessingCounter: TokenCounter = {
  promptTokens({ messages }, bytes) {
    const { count, bytes: attached } = attachments(messages);
    return Math.ceil(Math.max(0, bytes - attached) / 3) + count * attachmentTokens;
  },
  completionTokens: (text) => Math.ceil(Buffer.byteLength(text) / 4),
};
