import type { DialectName } from './usage-readers.ts';
import type { Fields } from './asked.ts';

/** What a request asks of a model. */
export interface ModelUse {
  /** As its provider names it; undefined where the request does not show it. */
  readonly model: string | undefined;
  /** The most one answer may have; undefined where the request sets no limit, zero where nothing is generated. */
  readonly maxCompletionTokens: number | undefined;
  readonly answers: number;
  readonly stream: boolean;
}

export interface Dialect {
  /** How usage is reported. */
  readonly usage: DialectName;
  /** Paths below the provider's base to which a POST costs nothing. */
  readonly free: RegExp;
  /** @param path below the provider's base, unescaped @param fields undefined where the body cannot be read */
  read(path: string, fields: Fields | undefined): ModelUse;
}

const count = (value: unknown): number | undefined =>
  typeof value === 'number' && Number.isFinite(value) && value > 0 ? Math.ceil(value) : undefined;
const text = (value: unknown): string | undefined => (typeof value === 'string' && value !== '' ? value : undefined);
const memberOf = (value: unknown, name: string): unknown =>
  typeof value === 'object' && value !== null ? Reflect.get(value, name) : undefined;

function largest(...values: readonly unknown[]): number | undefined {
  const counts = values.map(count).filter((value) => value !== undefined);
  return counts.length === 0 ? undefined : Math.max(...counts);
}

const nothingGenerated =
  /\/(?:embeddings|embed|rerank|moderations|transcriptions|translations)$|:(?:embedContent|batchEmbedContents|predict)$/;
const noOutput = (path: string, most: number | undefined): number | undefined =>
  nothingGenerated.test(path) ? 0 : most;

/** Of OpenAI, and of everybody who speaks as it does. On Azure the deployment in the path is what is called. */
const openai: Dialect = {
  usage: 'openai',
  free: /^\/(?:openai\/)?(?:v1\/)?(?:files|uploads|moderations)(?:\/|$)|\/(?:cancel|tokenize|detokenize)$/,
  read: (path, fields = {}) => {
    const prompts =
      Array.isArray(fields['prompt']) && typeof fields['prompt'][0] !== 'number' ? fields['prompt'].length : 1;
    return {
      model: text(/\/deployments\/([^/]+)\//.exec(path)?.[1]) ?? text(fields['model']),
      maxCompletionTokens: noOutput(
        path,
        largest(fields['max_completion_tokens'], fields['max_tokens'], fields['max_output_tokens']),
      ),
      answers: (largest(fields['n'], fields['best_of']) ?? 1) * Math.max(1, prompts),
      stream: fields['stream'] === true,
    };
  },
};

const anthropic: Dialect = {
  usage: 'anthropic',
  free: /\/count_tokens$|\/files(?:\/|$)|\/cancel$/,
  read: (_, fields = {}) => ({
    model: text(fields['model']),
    maxCompletionTokens: count(fields['max_tokens']),
    answers: 1,
    stream: fields['stream'] === true,
  }),
};

/** The model is in the path, before the verb: `models/gemini-2.5-pro:generateContent`. */
const gemini: Dialect = {
  usage: 'gemini',
  free: /:countTokens$|^\/upload\//,
  read: (path, fields = {}) => {
    const config = fields['generationConfig'] ?? fields['generation_config'];
    return {
      model:
        text(/\/(?:models|tunedModels)\/([^/:]+)(?::|$)/.exec(path)?.[1]) ??
        text(fields['model'])?.replace(/^models\//, ''),
      maxCompletionTokens: noOutput(
        path,
        largest(memberOf(config, 'maxOutputTokens'), memberOf(config, 'max_output_tokens')),
      ),
      answers: largest(memberOf(config, 'candidateCount'), memberOf(config, 'candidate_count')) ?? 1,
      stream: /:stream/.test(path),
    };
  },
};

/** Google's models as Gemini has them; those of others take the limit in their own shape. */
const vertex: Dialect = {
  ...gemini,
  usage: 'vertex',
  free: /:countTokens$|\/count-tokens:rawPredict$/,
  read: (path, fields = {}) => {
    const use = gemini.read(path, fields);
    return {
      ...use,
      maxCompletionTokens: use.maxCompletionTokens ?? largest(fields['max_tokens'], fields['max_completion_tokens']),
    };
  },
};

/** `/model/<id>/converse`; an invoked model takes the limit as its maker has it. */
const bedrock: Dialect = {
  usage: 'bedrock',
  free: /\/count-tokens$/,
  read: (path, fields = {}) => ({
    model: text(/^\/model\/([^/]+)\/[\w-]+$/.exec(path)?.[1]),
    maxCompletionTokens: largest(
      memberOf(fields['inferenceConfig'], 'maxTokens'),
      memberOf(fields['inferenceConfig'], 'max_new_tokens'),
      memberOf(fields['textGenerationConfig'], 'maxTokenCount'),
      fields['max_tokens'],
      fields['max_gen_len'],
      fields['max_completion_tokens'],
    ),
    answers: 1,
    stream: path.endsWith('stream'),
  }),
};

const cohere: Dialect = {
  usage: 'cohere',
  free: /\/(?:tokenize|detokenize|check-api-key)$/,
  read: (path, fields = {}) => ({
    model: text(fields['model']),
    maxCompletionTokens: noOutput(path, count(fields['max_tokens'])),
    answers: 1,
    stream: fields['stream'] === true,
  }),
};

export const dialects = { openai, anthropic, gemini, vertex, bedrock, cohere } as const;
