import type {
  LanguageModelV4FinishReason,
  LanguageModelV4GenerateResult,
  LanguageModelV4StreamPart,
} from '@ai-sdk/provider';
import { isRecord } from '../kernel/record.ts';
import type { Deployment } from '../models/deployment.ts';
import { refusedInStream } from '../proxy/failures.ts';

/**
 * What packages do not read of an answer: a model of OpenAI's that refuses says so in the place of its text, and Google's
 * servers say in an event that they fail. Whoever heard nothing of it would take the answer for empty, or for cut.
 */

const packaged: ReadonlySet<string> = new Set(['anthropic', 'bedrock', 'cohere']);

/** Whether a deployment's answers have to be looked at as they come. */
export const needsRaw = ({ provider }: Deployment): boolean => !packaged.has(provider);

const refused: LanguageModelV4FinishReason = { unified: 'content-filter', raw: 'refusal' };

function refusalIn(raw: unknown, member: 'message' | 'delta'): string {
  const choices = isRecord(raw) ? raw['choices'] : undefined;
  const choice: unknown = Array.isArray(choices) ? choices[0] : undefined;
  const said = isRecord(choice) ? choice[member] : undefined;
  const refusal = isRecord(said) ? said['refusal'] : undefined;
  return typeof refusal === 'string' ? refusal : '';
}

/** A refusal is the answer's text, and its end. */
export function withRefusal(result: LanguageModelV4GenerateResult): LanguageModelV4GenerateResult {
  const text = refusalIn(result.response?.body, 'message');
  return text === ''
    ? result
    : { ...result, content: [...result.content, { type: 'text', text }], finishReason: refused };
}

/** The same for the parts of a stream. */
export class UnreadParts {
  readonly #deployment: Deployment;
  #hasRefused = false;

  constructor(deployment: Deployment) {
    this.#deployment = deployment;
  }

  /** @throws GatewayError 502 where the provider says that it failed */
  read(part: LanguageModelV4StreamPart): LanguageModelV4StreamPart {
    if (part.type === 'finish') return this.#hasRefused ? { ...part, finishReason: refused } : part;
    if (part.type !== 'raw') return part;
    const { rawValue } = part;
    if (isRecord(rawValue) && isRecord(rawValue['error'])) {
      throw refusedInStream(rawValue['error'], this.#deployment);
    }
    const delta = refusalIn(rawValue, 'delta');
    if (delta === '') return part;
    this.#hasRefused = true;
    return { type: 'text-delta', id: 'refusal', delta };
  }
}
