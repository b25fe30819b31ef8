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
  /** Paths below it whose answers report what they cost. */
  readonly counted: RegExp;
  /** Whether an answer keeps it to itself all the same. */
  readonly hidesUsage?: (path: string, fields: Fields) => boolean;
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
  counted:
    /\/(?:completions|responses|responses\/compact|embeddings|rerank|images\/(?:generations|edits|variations)|audio\/(?:transcriptions|translations))$/,
  hidesUsage: (path, { stream, stream_options: options }) =>
    path.endsWith('completions') && stream === true && memberOf(options, 'include_usage') !== true,
  read: (path, fields = {}) => {
    const prompts =
      Array.isArray(fields['prompt']) && typeof fields['prompt'][0] !== 'number' ? fields['prompt'].length : 1;
    return {
      model: text(/\/deployments\/([^/]+)\//i.exec(path)?.[1]) ?? text(fields['model']),
      maxCompletionTokens: noOutput(
        path,
        largest(fields['max_completion_tokens'], fields['max_tokens'], fields['max_output_tokens']),
      ),
      answers: (largest(fields['n'], fields['best_of']) ?? 1) * Math.max(1, prompts),
      stream: fields['stream'] === true,
    };
  },
};

/** Of those who report it in every stream, asked or not. */
const reporting: Dialect = { ...openai, hidesUsage: () => false };

const anthropic: Dialect = {
  usage: 'anthropic',
  free: /\/count_tokens$|\/files(?:\/|$)|\/cancel$/,
  counted: /\/messages$/,
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
  counted: /:(?:generateContent|streamGenerateContent|embedContent|batchEmbedContents)$/,
  read: (path, fields = {}) => {
    const config = fields['generationConfig'] ?? fields['generation_config'];
    return {
      model:
        text(/\/(?:models|tunedModels)\/([^/:]+)(?::|$)/.exec(path)?.[1]) ??
        // What a verb stands behind is what is called, whatever the body says.
        (/:\w+$/.test(path) ? undefined : text(fields['model'])?.replace(/^models\//, '')),
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
  counted:
    /:(?:generateContent|streamGenerateContent|embedContent|predict|rawPredict|streamRawPredict)$|\/chat\/completions$/,
  read: (path, fields = {}) => {
    const use = gemini.read(path, fields);
    const isOfNoModel = /\/endpoints\/(?!openapi\/)/.test(path);
    return {
      ...use,
      model: isOfNoModel ? undefined : use.model,
      maxCompletionTokens: use.maxCompletionTokens ?? largest(fields['max_tokens'], fields['max_completion_tokens']),
    };
  },
};

/** `/model/<id>/converse`; an invoked model takes the limit as its maker has it. */
const bedrock: Dialect = {
  usage: 'bedrock',
  free: /\/count-tokens$/,
  counted: /^\/model\/[^/]+\/(?:converse|converse-stream|invoke|invoke-with-response-stream)$/,
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
  counted: /\/(?:chat|generate|embed|rerank)$/,
  read: (path, fields = {}) => ({
    model: text(fields['model']),
    maxCompletionTokens: noOutput(path, count(fields['max_tokens'])),
    answers: 1,
    stream: fields['stream'] === true,
  }),
};

export const dialects = { openai, reporting, anthropic, gemini, vertex, bedrock, cohere } as const;
