import type { LanguageModelV4StreamPart } from '@ai-sdk/provider';
import { GatewayError } from '../../kernel/errors.ts';
import { ToolBlock } from './tool-block.ts';

type Start = Readonly<Record<string, unknown>>;

/** A text or thoughts that are being told. */
interface ProseBlock {
  readonly type: 'text' | 'thinking';
  readonly id: string;
  /** Told at the end of thoughts. */
  signature: string;
}

/** Writes an event of a type of Anthropic's. */
export type WriteEvent = (type: string, data: object) => string;

/**
 * The content of a message, one block after the other. No block ends before something else begins or the whole message
 * does: packages end what is open when a stream breaks off, too, and a client must not take that for the model's doing.
 */
export class BlockSequence {
  readonly #event: WriteEvent;
  #next = 0;
  #open: ProseBlock | ToolBlock | undefined;

  constructor(event: WriteEvent) {
    this.#event = event;
  }

  /** The call whose input is not whole yet: nothing else can be told before it is. */
  get pending(): ToolBlock | undefined {
    return this.#open instanceof ToolBlock && !this.#open.isWhole ? this.#open : undefined;
  }

  text(id: string, text: string): string {
    return text === '' ? '' : this.#prose('text', id) + this.#delta({ type: 'text_delta', text });
  }

  thoughts(id: string, thinking: string, signature: string | undefined): string {
    if (thinking === '' && signature === undefined) return '';
    const begun = this.#prose('thinking', id);
    if (signature !== undefined && this.#open && !(this.#open instanceof ToolBlock)) this.#open.signature = signature;
    return thinking === '' ? begun : begun + this.#delta({ type: 'thinking_delta', thinking });
  }

  call(block: ToolBlock): string {
    const { id, name } = block;
    const ended = this.close();
    this.#open = block;
    return ended + this.#start({ type: 'tool_use', id, name, input: {}, caller: { type: 'direct' } });
  }

  /** @throws GatewayError 502 for what comes after the end of an input */
  input(block: ToolBlock, json: string): string {
    if (json === '') return '';
    if (this.#open !== block) {
      if (json.trim() === '') return '';
      const message = `The model went on with the input of ${block.name} after its end`;
      throw new GatewayError('upstream', 'invalid_answer', message, { hint: 'Try again.' });
    }
    block.add(json);
    return this.#delta({ type: 'input_json_delta', partial_json: json });
  }

  /** A block that comes all at once. */
  whole(block: Start): string {
    const begun = this.close() + this.#start(block);
    return begun + this.#stop();
  }

  close(): string {
    const open = this.#open;
    if (!open) return '';
    this.#open = undefined;
    const { signature } = open instanceof ToolBlock ? { signature: '' } : open;
    return (signature && this.#delta({ type: 'signature_delta', signature })) + this.#stop();
  }

  #prose(type: ProseBlock['type'], id: string): string {
    const open = this.#open;
    if (open && !(open instanceof ToolBlock) && open.type === type && open.id === id) return '';
    const ended = this.close();
    this.#open = { type, id, signature: '' };
    return (
      ended + this.#start(type === 'text' ? { type, text: '', citations: null } : { type, thinking: '', signature: '' })
    );
  }

  #start(block: Start): string {
    return this.#event('content_block_start', { index: this.#next, content_block: block });
  }

  #delta(delta: Start): string {
    return this.#event('content_block_delta', { index: this.#next, delta });
  }

  #stop(): string {
    return this.#event('content_block_stop', { index: this.#next++ });
  }
}

/** About what a part takes in memory while it waits. */
export const sizeOf = (part: LanguageModelV4StreamPart): number => {
  const text = 'delta' in part ? part.delta : part.type === 'tool-call' ? part.input : '';
  return text.length + 100;
};
