import { isRecord } from '../kernel/record.ts';
import { clampUsage, type Usage } from '../metering/usage.ts';
import { readInputTokens } from '../proxy/endpoints/token-usage.ts';

type Reported = Readonly<Record<string, unknown>>;

/** Where a provider reports what was used, and how it says it. */
export interface UsageShape {
  /** Paths of members, as JsonMembers has them. */
  readonly paths: ReadonlySet<string>;
  /** The same of members that name the service tier, beside the usage or in it. */
  readonly tierPaths: ReadonlySet<string>;
  /** The member of the usage that does. */
  readonly tierIn?: string;
  /** @param reported all that was reported at these paths so far, joined: streams report in parts */
  read(reported: Reported): Usage | undefined;
}

const count = (value: unknown): number => (typeof value === 'number' && value > 0 ? value : 0);
const membersOf = (value: unknown): Reported => (isRecord(value) ? value : {});
const recordsIn = (value: unknown): Reported[] => (Array.isArray(value) ? value.filter(isRecord) : []);
const isCount = (value: unknown): value is number => typeof value === 'number';

interface Counts {
  readonly input: number;
  readonly output: number;
  readonly cacheRead?: unknown;
  readonly cacheWrite?: unknown;
  /** Of the writes, those for an hour. */
  readonly cacheWriteHour?: unknown;
  readonly reasoning?: unknown;
  readonly audioInput?: unknown;
  readonly audioOutput?: unknown;
  readonly imageOutput?: unknown;
}

const usage = ({ input, output, ...parts }: Counts): Usage =>
  clampUsage({
    promptTokens: input,
    completionTokens: output,
    cacheReadTokens: count(parts.cacheRead),
    cacheWriteTokens: count(parts.cacheWrite),
    ...(count(parts.cacheWriteHour) > 0 && { cacheWriteHourTokens: count(parts.cacheWriteHour) }),
    reasoningTokens: count(parts.reasoning),
    audioInputTokens: count(parts.audioInput),
    audioOutputTokens: count(parts.audioOutput),
    ...(count(parts.imageOutput) > 0 && { imageOutputTokens: count(parts.imageOutput) }),
    estimated: false,
  });

/** OpenAI's chat completions and embeddings count prompt tokens; its responses, images and transcriptions input tokens. */
const openai: UsageShape = {
  paths: new Set(['usage', 'response.usage']),
  tierPaths: new Set(['service_tier', 'response.service_tier']),
  read: (reported) => {
    if (!isCount(reported['input_tokens'])) return readInputTokens(reported);
    const input = membersOf(reported['input_tokens_details']);
    return usage({
      input: reported['input_tokens'],
      output: count(reported['output_tokens']),
      cacheRead: input['cached_tokens'],
      audioInput: input['audio_tokens'],
      reasoning: membersOf(reported['output_tokens_details'])['reasoning_tokens'],
    });
  },
};

/** Input is counted without what was read from a cache or written to one. A stream reports it first and the output last. */
function readAnthropic(reported: Reported): Usage | undefined {
  const { input_tokens: input, output_tokens: output } = reported;
  if (!isCount(input) && !isCount(output)) return undefined;
  const cacheRead = count(reported['cache_read_input_tokens']);
  const cacheWrite = count(reported['cache_creation_input_tokens']);
  const cacheWriteHour = membersOf(reported['cache_creation'])['ephemeral_1h_input_tokens'];
  const written = { cacheRead, cacheWrite, cacheWriteHour };
  return usage({ input: count(input) + cacheRead + cacheWrite, output: count(output), ...written });
}

const anthropic: UsageShape = {
  paths: new Set(['usage', 'message.usage']),
  tierPaths: new Set(),
  tierIn: 'service_tier',
  read: readAnthropic,
};

/** Google counts thoughts beside the answer, and what its tools found beside the prompt; each is paid for as what it is beside. */
function readGemini(reported: Reported): Usage | undefined {
  const { promptTokenCount: prompt, thoughtsTokenCount: thoughts } = reported;
  if (!isCount(prompt)) return undefined;
  return usage({
    input: prompt + count(reported['toolUsePromptTokenCount']),
    output: count(reported['candidatesTokenCount']) + count(thoughts),
    cacheRead: reported['cachedContentTokenCount'],
    reasoning: thoughts,
    audioInput: tokensOf(reported['promptTokensDetails'], 'AUDIO'),
    audioOutput: tokensOf(reported['candidatesTokensDetails'], 'AUDIO'),
    imageOutput: tokensOf(reported['candidatesTokensDetails'], 'IMAGE'),
  });
}

/** Google's count of one kind of tokens. */
const tokensOf = (details: unknown, modality: string): number =>
  recordsIn(details)
    .filter((each) => each['modality'] === modality)
    .reduce((sum, { tokenCount }) => sum + count(tokenCount), 0);

const gemini: UsageShape = {
  paths: new Set(['usageMetadata']),
  tierPaths: new Set(),
  tierIn: 'trafficType',
  read: readGemini,
};

/** Beside Gemini's, what Vertex AI has of others: Anthropic's models, and embeddings that count each text. */
const vertex: UsageShape = {
  paths: new Set([...gemini.paths, ...anthropic.paths, 'predictions.*.embeddings.statistics']),
  tierPaths: new Set(['service_tier']),
  tierIn: 'trafficType',
  read: (reported) => {
    const { token_count: tokens } = reported;
    if (isCount(tokens)) return usage({ input: tokens, output: 0 });
    return readGemini(reported) ?? readAnthropic(reported) ?? openai.read(reported);
  },
};

/** Converse counts in camelCase; a model that is invoked answers in its own shape, at whose end Bedrock says what it counted. */
const bedrock: UsageShape = {
  paths: new Set(['usage', 'message.usage', 'amazon-bedrock-invocationMetrics']),
  tierPaths: new Set(['serviceTier', 'service_tier']),
  tierIn: 'service_tier',
  read: (reported) => {
    const { inputTokens, inputTokenCount, cacheReadInputTokens, cacheWriteInputTokens } = reported;
    if (isCount(inputTokens)) {
      const [cacheRead, cacheWrite] = [count(cacheReadInputTokens), count(cacheWriteInputTokens)];
      const output = count(reported['outputTokens']);
      const cacheWriteHour = recordsIn(reported['cacheDetails'])
        .filter(({ ttl }) => ttl === '1h')
        .reduce((sum, { inputTokens: tokens }) => sum + count(tokens), 0);
      const input = inputTokens + cacheRead + cacheWrite;
      return usage({ input, output, cacheRead, cacheWrite, cacheWriteHour });
    }
    if (reported['input_tokens'] !== undefined) return readAnthropic(reported);
    if (!isCount(inputTokenCount)) return openai.read(reported);
    return usage({ input: inputTokenCount, output: count(reported['outputTokenCount']) });
  },
};

/** What Cohere bills is less than what it counts: texts of its own are free. */
const cohere: UsageShape = {
  paths: new Set(['usage', 'meta', 'delta.usage', 'response.meta']),
  tierPaths: new Set(),
  read: (reported) => {
    const { input_tokens: input, output_tokens: output } = membersOf(reported['billed_units'] ?? reported['tokens']);
    if (!isCount(input) && !isCount(output)) return openai.read(reported);
    return usage({ input: count(input), output: count(output) });
  },
};

export const usageShapes = { openai, anthropic, gemini, vertex, bedrock, cohere } as const;
export type DialectName = keyof typeof usageShapes;

/** The counts of an invoked model, for those that report nothing in their answers. */
export function readBedrockHeaders(headers: Readonly<Record<string, unknown>>): Usage | undefined {
  const of = (name: string) => Number(headers[`x-amzn-bedrock-${name}-token-count`] ?? Number.NaN);
  const [input, output] = [of('input'), of('output')];
  if (!Number.isFinite(input)) return undefined;
  return usage({ input, output: Number.isFinite(output) ? output : 0 });
}
