import { requireRoute } from '../access/decide.ts';
import { standingsOf } from '../access/principal.ts';
import { isRecord } from '../kernel/record.ts';
import { invalid, modelOf, readJson } from './endpoints/json-request.ts';
import type { Exchange } from './exchange.ts';
import { authenticate, takePlace } from './pipeline.ts';
import type { Step } from './pipeline.ts';
import { readBody } from './read-body.ts';

/** Counts the tokens of a text or of messages, as LiteLLM's `/utils/token_counter` does: no upstream is asked. */
export const countTokens: readonly Step[] = [authenticate, admit, takePlace, readBody, answerCount];

function admit({ principal, handler }: Exchange): void {
  requireRoute(principal, handler);
}

async function answerCount(exchange: Exchange): Promise<void> {
  const { body: bytes, context } = exchange;
  const { fields } = readJson({ bytes, limits: context.limits });
  const model = modelOf(fields, undefined);
  const { frame, text } = readPrompt(fields);
  const tokens = text === '' ? 0 : await context.deps.counter.completionTokens(text);
  if (exchange.stopped) return;
  exchange.answerJson(200, {
    total_tokens: frame + tokens,
    request_model: model,
    model_used: upstreamOf(exchange, model),
    tokenizer_type: 'openai_tokenizer',
  });
}

/** The upstream's name is told to those who may call it; to others a model is what they call it. */
function upstreamOf({ context, principal }: Exchange, model: string): string {
  const { deps } = context;
  const standing = standingsOf(principal).find((each) => deps.allows(each, model));
  const target = standing && deps.deployments.find(model, standing.teamId);
  return target?.upstreamModel ?? model;
}

/** OpenAI's cookbook: three tokens of frame around each message, and three that open the answer. */
const frameTokens = 3;

interface Prompt {
  readonly frame: number;
  readonly text: string;
}

function readPrompt({ prompt, messages, contents }: Readonly<Record<string, unknown>>): Prompt {
  if (contents != null) throw invalid('contents is not counted here; give prompt or messages', 'contents');
  if ((prompt == null) === (messages == null)) throw invalid('Give either prompt or messages', 'prompt');
  if (messages == null) return { frame: 0, text: textIn(prompt, 'prompt') };
  if (!Array.isArray(messages)) throw invalid('messages must be a list', 'messages');
  return {
    frame: (messages.length + 1) * frameTokens,
    text: messages.map((message) => textIn(message, 'messages')).join(' '),
  };
}

/** What is text in a prompt: itself, each of several, and of a message its role, its parts that are text and its calls of tools. */
function textIn(value: unknown, param: string): string {
  if (typeof value === 'string') return value;
  if (Array.isArray(value)) return value.map((each) => textIn(each, param)).join(' ');
  if (!isRecord(value)) throw invalid(`${param} must hold texts`, param);
  const { role, name, content, text, tool_calls: calls } = value;
  const texts = [role, name, text].filter((each) => typeof each === 'string');
  if (content != null) texts.push(textIn(content, param));
  if (Array.isArray(calls)) texts.push(JSON.stringify(calls));
  return texts.join(' ');
}
