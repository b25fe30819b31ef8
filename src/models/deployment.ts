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
