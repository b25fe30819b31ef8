import type { LanguageModelV4StreamPart } from '@ai-sdk/provider';
import type { AnswerNames, EventWriter } from '../client-protocol.ts';
import { finishReasonOf, imageMember, signatureMember, thinkingBlock } from './answer.ts';
import { usageFor } from './usage.ts';

type Part<Type extends LanguageModelV4StreamPart['type']> = Extract<LanguageModelV4StreamPart, { readonly type: Type }>;

/** A stream of chat completion chunks. */
export class ChatEvents implements EventWriter {
  readonly #frame: object;
  /** The indices of calls of tools, by their ids. */
  readonly #calls = new Map<string, number>();
  /** Calls whose arguments have been told. */
  readonly #told = new Set<string>();
  /** Calls whose signature has been told. */
  readonly #signed = new Set<string>();
  /** Thoughts that are under way, by their ids: their signature comes with them whole. */
  readonly #thoughts = new Map<string, string>();
  #images = 0;
  #hasBegun = false;
  #isFinished = false;

  constructor({ id, model, created }: AnswerNames) {
    this.#frame = { id: `chatcmpl-${id}`, object: 'chat.completion.chunk', created, model };
  }

  next(part: LanguageModelV4StreamPart): string {
    const { type } = part;
    if (type === 'text-delta') return this.#delta({ content: part.delta });
    if (type === 'reasoning-start' || type === 'reasoning-delta' || type === 'reasoning-end') {
      return this.#reasoning(part);
    }
    if (type === 'tool-input-start') return part.providerExecuted ? '' : this.#callBegins(part.id, part);
    if (type === 'tool-input-delta') return this.#argumentsOf(part.id, part.delta);
    if (type === 'tool-call') return this.#call(part);
    if (type === 'file') return this.#image(part);
    return type === 'finish' ? this.#finish(part) : '';
  }

  end(): string {
    return this.#isFinished ? 'data: [DONE]\n\n' : '';
  }

  #reasoning(part: Part<'reasoning-start' | 'reasoning-delta' | 'reasoning-end'>): string {
    const { id, providerMetadata: metadata } = part;
    const delta = part.type === 'reasoning-delta' ? part.delta : '';
    const text = (this.#thoughts.get(id) ?? '') + delta;
    this.#thoughts.set(id, text);
    const block = thinkingBlock(text, metadata);
    if (delta === '' && !block) return '';
    return this.#delta({
      ...(delta !== '' && { reasoning_content: delta }),
      ...(block && { thinking_blocks: [block] }),
    });
  }

  /** A signature that is known by now comes first: clients take a call for whole as soon as its arguments are. */
  #callBegins(id: string, { toolName: name, providerMetadata }: Part<'tool-input-start' | 'tool-call'>): string {
    const index = this.#calls.size;
    this.#calls.set(id, index);
    const own = signatureMember(providerMetadata);
    if (Object.keys(own).length > 0) this.#signed.add(id);
    return this.#delta({ tool_calls: [{ index, id, type: 'function', function: { name, arguments: '' }, ...own }] });
  }

  #argumentsOf(id: string, json: string): string {
    const index = this.#calls.get(id);
    if (index === undefined || json === '') return '';
    this.#told.add(id);
    return this.#delta({ tool_calls: [{ index, function: { arguments: json } }] });
  }

  /** A call told whole: of one that was told bit by bit only what was still missing. */
  #call(part: Part<'tool-call'>): string {
    const { toolCallId: id, input, providerExecuted, providerMetadata } = part;
    if (providerExecuted) return '';
    const begun = this.#calls.has(id) ? '' : this.#callBegins(id, part);
    const told = this.#told.has(id) ? '' : this.#argumentsOf(id, input);
    const own = this.#signed.has(id) ? {} : signatureMember(providerMetadata);
    if (Object.keys(own).length === 0) return begun + told;
    // Clients take no part of a call without its function.
    const last = { index: this.#calls.get(id), function: { arguments: '' }, ...own };
    return begun + told + this.#delta({ tool_calls: [last] });
  }

  #image(part: Part<'file'>): string {
    const image = imageMember(part, this.#images);
    if (!image) return '';
    this.#images++;
    return this.#delta({ images: [image] });
  }

  #finish({ finishReason, usage: reported }: Part<'finish'>): string {
    this.#isFinished = true;
    const usage = usageFor(reported);
    const last = this.#delta({}, finishReasonOf(finishReason));
    return usage ? last + this.#event({ ...this.#frame, choices: [], usage }) : last;
  }

  /** The first delta of a stream says whose it is. */
  #delta(told: object, finishReason: string | null = null): string {
    const delta = this.#hasBegun ? told : { role: 'assistant', ...told };
    this.#hasBegun = true;
    const choice = { index: 0, delta, logprobs: null, finish_reason: finishReason };
    return this.#event({ ...this.#frame, choices: [choice] });
  }

  #event(data: object): string {
    return `data: ${JSON.stringify(data)}\n\n`;
  }
}
