import type { LanguageModelV4CallOptions, LanguageModelV4Message } from '@ai-sdk/provider';
import { countCompletion, perImage } from '../../metering/estimate.ts';
import type { Receiver, UpstreamCall, UpstreamRequest } from '../../proxy/providers/provider.ts';
import { readRequest } from './read-request.ts';

/** OpenAI's cookbook: three tokens of frame around each message, and three that open the answer. */
const perMessage = 3;

/** As every provider is told it, and what is left out where one cannot be is not counted. */
const rules = { dropParams: true, providerOptionsName: 'upstream' };

/** How long a message would be for a model whose provider does not say: counted here, and no upstream is asked. */
export class CountedCall implements UpstreamCall {
  #isAborted = false;

  constructor({ asked }: UpstreamRequest, receiver: Receiver) {
    // Even a refusal comes after `send` has returned.
    queueMicrotask(() => {
      this.#count(asked.fields, receiver).catch((thrown: unknown) => {
        if (!this.#isAborted) receiver.fail(thrown instanceof Error ? thrown : new Error(String(thrown)));
      });
    });
  }

  pause(): void {}

  resume(): void {}

  abort(): void {
    this.#isAborted = true;
  }

  async #count(fields: UpstreamRequest['asked']['fields'], receiver: Receiver): Promise<void> {
    const { options } = readRequest({ ...fields, max_tokens: 1 }, rules);
    const tokens = await tokensOf(options);
    if (this.#isAborted) return;
    receiver.sent();
    receiver.start(200, { 'content-type': 'application/json' });
    receiver.data(Buffer.from(JSON.stringify({ input_tokens: tokens })));
    receiver.end();
  }
}

async function tokensOf({ prompt, tools = [] }: LanguageModelV4CallOptions): Promise<number> {
  const texts = tools.map((tool) => JSON.stringify(tool));
  let tokens = (prompt.length + 1) * perMessage;
  for (const message of prompt) {
    if (message.role === 'system') texts.push(message.content);
    else tokens += readParts(message, texts);
  }
  const text = texts.join('\n');
  return tokens + (text === '' ? 0 : await countCompletion(text));
}

/** Collects what is text in a message, and counts what is not. */
function readParts({ content }: Exclude<LanguageModelV4Message, { role: 'system' }>, texts: string[]): number {
  let tokens = 0;
  for (const part of content) {
    if (part.type === 'text' || part.type === 'reasoning') texts.push(part.text);
    else if (part.type === 'tool-call') texts.push(part.toolName, JSON.stringify(part.input));
    else if (part.type === 'tool-result') texts.push(JSON.stringify(part.output));
    else if (part.type === 'file') tokens += perImage;
  }
  return tokens;
}
