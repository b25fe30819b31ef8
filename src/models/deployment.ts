/** One upstream behind a model name. */
export interface Deployment {
  /** Sent back as `x-litellm-model-id`. */
  readonly id: string;
  /** The public name clients ask for; may be a pattern such as `openai/*` or `*`. */
  readonly name: string;
  readonly provider: string;
  /** The name the upstream knows it by. For a pattern it holds a `*` of its own, or is `*`. */
  readonly upstreamModel: string;
  /** Base URL without a slash at its end; the builtin mock has none. */
  readonly apiBase: string | undefined;
  readonly apiKey: string | undefined;
  readonly source: 'config' | 'database' | 'builtin';
  /** Prices and capabilities as the operator gave them, in LiteLLM's spelling. */
  readonly info: Readonly<Record<string, unknown>>;
  /** Further parameters, in LiteLLM's spelling: timeouts, and what the mock provider reads. */
  readonly params: Readonly<Record<string, unknown>>;
}

/** Whose protocol we speak upstream. `openai` is everybody's who speaks OpenAI's. */
export const providers = ['openai', 'mock'] as const;

/**
 * `<provider>/<model>` in two, LiteLLM's way: a name without a provider is OpenAI's. Undefined when the provider is not
 * served.
 */
export function splitModel(model: string): { readonly provider: string; readonly upstreamModel: string } | undefined {
  const slash = model.indexOf('/');
  if (slash === -1) return { provider: 'openai', upstreamModel: model };
  const provider = providers.find((name) => name === model.slice(0, slash));
  return provider && { provider, upstreamModel: model.slice(slash + 1) };
}

/** The variable a setting names instead of a value: `os.environ/OPENAI_API_KEY`. */
export function environmentName(value: string): string | undefined {
  return /^os\.environ\/([A-Za-z_][A-Za-z0-9_]*)$/.exec(value)?.[1];
}
