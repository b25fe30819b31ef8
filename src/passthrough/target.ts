import type { Deployment } from '../models/deployment.ts';
import type { Sender } from './collect.ts';
import type { Dialect } from './dialects.ts';
import type { Base } from './upstream-target.ts';

/** A request to an upstream, before its credential is on it. */
export interface Unsigned {
  readonly method: string;
  readonly url: string;
  /** Names and values by turns. */
  readonly headers: readonly string[];
  readonly body: Buffer;
}

/** Where a pass-through leads, and by which rules. */
export interface Target {
  /** As it stands in the log and in errors: a provider's prefix, or a path an operator chose. */
  readonly name: string;
  /** Whether an operator chose the path. */
  readonly isOperators?: true;
  /** Where a call goes. @param path the rest of the client's path */
  baseFor(path: string): Base;
  /** What is spoken there; undefined where no model is called. */
  readonly dialect: Dialect | undefined;
  /** What a call has before its path where the dialect looks at it. */
  readonly shownBase: string;
  /** The provider's name in lists of models (`openai/*`), which must let its calls pass; undefined where no model is called. */
  readonly grantedAs: string | undefined;
  /** What its calls are booked as: by the price of their model, or by the operator's for each. */
  readonly deployment: Deployment;
  /** The same for calls that cost nothing. */
  readonly free: Deployment;
  /** Whether it may be at an address that is not public. */
  readonly isPrivate: boolean;
  /** The operator's headers, credential included. */
  readonly headers: readonly string[];
  readonly forwards: readonly string[] | 'all';
  readonly query: Readonly<Record<string, string>>;
  /** The client's path below the base as the upstream has it. */
  restOf(rest: string): string;
  readonly timeoutMs: number | undefined;
  /** Headers to add that depend on the request: a signature, a token that is fetched. */
  readonly sign?: ((request: Unsigned, send: Sender) => Promise<readonly string[]>) | undefined;
  /** What stands in a body for the caller's credential; where it is absent, a body that holds it is refused. */
  readonly insteadOfCredential?: string | undefined;
}

/** A pseudo-deployment per target: what prices, journal and log know calls by. */
export function deploymentOf(target: {
  readonly name: string;
  readonly provider: string;
  readonly apiKey: string | undefined;
  readonly otherSecrets?: readonly string[];
  readonly costPerRequest?: number | undefined;
}): Deployment {
  const { name, provider, apiKey, otherSecrets = [], costPerRequest } = target;
  return {
    id: '',
    name,
    provider,
    upstreamModel: '',
    apiBase: undefined,
    apiKey,
    otherSecrets,
    source: 'config',
    info: {},
    params: costPerRequest === undefined ? {} : { input_cost_per_request: costPerRequest },
  };
}
