import type { LanguageModelV4StreamPart } from '@ai-sdk/provider';
import { GatewayError } from '../../kernel/errors.ts';
import type { AnswerNames, EventWriter } from '../client-protocol.ts';
import { failed } from '../ending.ts';
import { BlockSequence, sizeOf } from './block-sequence.ts';
import { eventText } from '../../proxy/events/dialect.ts';
import { messageUsage, noUsage } from './message-usage.ts';
import { isBrokenOff, stopOf } from './stop-reason.ts';
import { streamError } from './stream-error.ts';
import { signatureOfCall, signedBy } from './thought-signatures.ts';
import { ToolBlock } from './tool-block.ts';
import { messageFrame, noInput, untold } from './write-answer.ts';

type Part = LanguageModelV4StreamPart;
type Of<T extends Part['type']> = Extract<Part, { type: T }>;

/** Of what has to wait for the end of a call that other parts come in between of. */
const mostWaiting = 256 * 1024;

/** Anthropic's events (https://docs.anthropic.com/en/api/messages-streaming) of the parts of an answer. */
export class MessageEvents implements EventWriter {
  readonly #names: AnswerNames;
  readonly #blocks = new BlockSequence((type, data) => this.#event(type, data));
  readonly #calls = new Map<string, ToolBlock>();
  #waiting: Part[] = [];
  #waitingSize = 0;
  #hasBegun = false;
  #hasFailed = false;
  #isWhole = false;

  constructor(names: AnswerNames) {
    this.#names = names;
  }

  next(part: Part): string {
    if (this.#hasFailed || this.#isWhole) return '';
    if (part.type === 'error') return this.#fail(streamError(part.error));
    if (part.type === 'finish') return this.#finish(part);
    // The first thing that comes of the upstream itself.
    if (part.type === 'response-metadata') return this.#begin();
    return this.#take(part);
  }

  end(): string {
    return this.#isWhole ? this.#event('message_stop', {}) : '';
  }

  /** A call cannot be told in pieces, as a text can: what comes in between waits for its end. */
  #take(part: Part): string {
    const { pending } = this.#blocks;
    if (pending && !isOf(pending, part)) return this.#wait(part);
    const written = this.#write(part);
    return this.#waiting.length > 0 && !this.#blocks.pending ? written + this.#goOn() : written;
  }

  #wait(part: Part): '' {
    this.#waitingSize += sizeOf(part);
    if (this.#waitingSize > mostWaiting) {
      throw new GatewayError(
        'upstream',
        'invalid_answer',
        'The model told too much in the middle of a call of a tool',
        {
          hint: "Try again with tool_choice's disable_parallel_tool_use, or without stream.",
        },
      );
    }
    this.#waiting.push(part);
    return '';
  }

  #goOn(): string {
    const parts = this.#waiting;
    this.#waiting = [];
    this.#waitingSize = 0;
    return parts.map((part) => this.#take(part)).join('');
  }

  #write(part: Part): string {
    switch (part.type) {
      case 'text-delta':
        return this.#blocks.text(part.id, part.delta);
      case 'reasoning-start':
      case 'reasoning-end':
        return this.#thoughts(part, '');
      case 'reasoning-delta':
        return this.#thoughts(part, part.delta);
      case 'tool-input-start':
        return this.#call(part.id, part.toolName, part.providerMetadata);
      case 'tool-input-delta': {
        const block = this.#calls.get(part.id);
        return block ? this.#blocks.input(block, part.delta) : '';
      }
      case 'tool-input-end': {
        const block = this.#calls.get(part.id);
        if (block) block.isEnded = true;
        return '';
      }
      case 'tool-call':
        return this.#wholeCall(part);
      case 'file':
      case 'reasoning-file':
        throw untold('a file');
      case 'text-start':
      case 'text-end':
      case 'stream-start':
      case 'response-metadata':
      case 'raw':
      case 'error':
      case 'finish':
      // Where something was found, and remarks of the provider: nothing that the model has said.
      case 'source':
      case 'custom':
      case 'tool-result':
      case 'tool-approval-request':
        break;
    }
    return '';
  }

  #thoughts(
    { id, providerMetadata }: Of<'reasoning-start' | 'reasoning-delta' | 'reasoning-end'>,
    text: string,
  ): string {
    const { signature, redacted } = signedBy(providerMetadata);
    if (redacted === undefined) return this.#blocks.thoughts(id, text, signature);
    return this.#blocks.whole({ type: 'redacted_thinking', data: redacted });
  }

  #call(id: string, name: string, metadata: Of<'tool-call'>['providerMetadata']): string {
    const block = new ToolBlock(id, name);
    this.#calls.set(id, block);
    return this.#sign(block, metadata) + this.#blocks.call(block);
  }

  #sign(block: ToolBlock, metadata: Of<'tool-call'>['providerMetadata']): string {
    const data = block.isSigned ? undefined : signatureOfCall(block.id, metadata);
    if (data === undefined) return '';
    block.isSigned = true;
    return this.#blocks.whole({ type: 'redacted_thinking', data });
  }

  /** The input counts where none came before it; a signature may come as late as here. */
  #wholeCall({ toolCallId: id, toolName, input, providerMetadata }: Of<'tool-call'>): string {
    const begun = this.#calls.has(id) ? '' : this.#call(id, toolName, providerMetadata);
    const block = this.#calls.get(id);
    if (!block) return begun;
    const told = block.hasInput ? '' : this.#blocks.input(block, input);
    block.isEnded = true;
    return begun + told + (block.isWhole ? this.#sign(block, providerMetadata) : '');
  }

  #finish({ finishReason, usage, providerMetadata }: Of<'finish'>): string {
    if (isBrokenOff(finishReason)) return '';
    const stop = stopOf({ finishReason, providerMetadata, hasCalls: this.#calls.size > 0 });
    if (!stop) return this.#fail(streamError(failed(finishReason)));
    let written = this.#blocks.close();
    while (this.#waiting.length > 0) written += this.#goOn() + this.#blocks.close();
    const cut = [...this.#calls.values()].find(({ isWhole }) => !isWhole);
    if (cut && stop.stop_reason === 'tool_use') throw noInput(cut.name);
    this.#isWhole = true;
    return written + this.#event('message_delta', { delta: stop, usage: messageUsage(usage) });
  }

  #fail(error: object): string {
    this.#hasFailed = true;
    return eventText('error', error);
  }

  #begin(): string {
    if (this.#hasBegun) return '';
    this.#hasBegun = true;
    const message = {
      ...messageFrame(this.#names),
      content: [],
      stop_reason: null,
      stop_sequence: null,
      usage: noUsage,
    };
    return eventText('message_start', { type: 'message_start', message });
  }

  #event(type: string, data: object): string {
    return this.#begin() + eventText(type, { type, ...data });
  }
}

/** Whether a part goes on with a call. */
const isOf = ({ id }: ToolBlock, part: Part): boolean =>
  part.type === 'tool-call'
    ? part.toolCallId === id
    : 'id' in part && part.id === id && part.type.startsWith('tool-input-');
