/** Why an attempt failed, as far as it matters for what comes next. LiteLLM's classes of errors. */
export const failureKinds = [
  'rate_limit',
  'timeout',
  'server',
  'authentication',
  'permission',
  'not_found',
  'context_window',
  'content_policy',
  'bad_request',
] as const;
export type FailureKind = (typeof failureKinds)[number];

export interface Failure {
  readonly kind: FailureKind;
  /** How long the upstream wants to be left alone. */
  readonly retryAfterMs?: number | undefined;
}

interface Meaning {
  /** Where it may go better: anywhere, at another deployment only, or nowhere. */
  readonly retry: 'anywhere' | 'elsewhere' | 'nowhere';
  /**
   * Whether it says something of the deployment: at once, when it happens often, the same if it has answered nobody
   * meanwhile, or never.
   */
  readonly cools: 'at once' | 'when often' | 'when always' | 'never';
}

/** What is wrong with a request is wrong with it everywhere, and no deployment's fault. */
export const meanings: Readonly<Record<FailureKind, Meaning>> = {
  rate_limit: { retry: 'anywhere', cools: 'at once' },
  timeout: { retry: 'anywhere', cools: 'when often' },
  server: { retry: 'anywhere', cools: 'when often' },
  authentication: { retry: 'elsewhere', cools: 'at once' },
  // Of one caller's request or of all: nobody may have a deployment left out that answers others.
  permission: { retry: 'elsewhere', cools: 'when always' },
  not_found: { retry: 'elsewhere', cools: 'at once' },
  context_window: { retry: 'nowhere', cools: 'never' },
  content_policy: { retry: 'nowhere', cools: 'never' },
  bad_request: { retry: 'nowhere', cools: 'never' },
};
