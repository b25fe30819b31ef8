import type { PassThroughEndpoint } from '../kernel/pass-through.ts';
import type { RegisteredRoute } from '../kernel/route-policy.ts';
import type { FurtherRoutes } from '../proxy/context.ts';
import type { Handler } from '../proxy/proxy.ts';
import type { Step } from '../proxy/pipeline.ts';
import type { Exchange } from '../proxy/exchange.ts';
import { configuredTarget } from './configured-targets.ts';
import { bedrockTarget } from './bedrock.ts';
import { vertexTarget } from './vertex.ts';
import { langfuseTarget, readBasicCredential } from './langfuse.ts';
import { type PassedCallDeps, PassedCallSteps } from './passed-call.ts';
import { type KeptCredential, providerTargets, type Variable } from './provider-targets.ts';
import type { Target } from './target.ts';

const methods = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE'] as const;

export interface PassThroughOptions extends PassedCallDeps {
  readonly variable: Variable;
}

/** The ways through: `/{provider}/{path}`, and what operators have made of their own. */
export class PassThroughRoutes implements FurtherRoutes {
  readonly #deps: PassedCallDeps;
  readonly #variable: Variable;
  readonly #others: readonly (readonly [name: string, target: Target])[];
  #providers: ReadonlyMap<string, Target>;
  #configured: ReadonlyMap<string, { readonly endpoint: PassThroughEndpoint; readonly target: Target }> = new Map();
  #longest = 0;

  constructor({ variable, ...deps }: PassThroughOptions) {
    this.#deps = deps;
    this.#variable = variable;
    const vertex = vertexTarget(variable);
    this.#others = [
      ['bedrock', bedrockTarget(variable)],
      ['vertex_ai', vertex],
      ['vertex-ai', vertex],
      ['langfuse', langfuseTarget(variable)],
    ];
    this.#providers = this.#providersWith(new Map());
  }

  #providersWith(kept: ReadonlyMap<string, KeptCredential>): ReadonlyMap<string, Target> {
    return new Map([...providerTargets(this.#variable, kept), ...this.#others]);
  }

  /** Each of them begins with the look at the credential. */
  get routes(): readonly RegisteredRoute[] {
    return [...this.#providers.keys()].flatMap((name) =>
      methods.map((method) => ({ method, path: `/${name}/*`, policy: { caller: 'known', access: 'call' } as const })),
    );
  }

  /** From the next request on these are the operators' own ways, and these the database's credentials, by provider. */
  replace(endpoints: readonly PassThroughEndpoint[], kept: ReadonlyMap<string, KeptCredential>): void {
    const found = endpoints.map(
      (endpoint) => [endpoint.path, { endpoint, target: configuredTarget(endpoint) }] as const,
    );
    this.#providers = this.#providersWith(kept);
    this.#configured = new Map(found);
    this.#longest = Math.max(0, ...endpoints.map(({ path }) => path.length));
  }

  /** An operator's own way wins over a provider's, and a longer path over a shorter one. */
  match(method: string, path: string): Handler | undefined {
    if (!methods.some((each) => each === method)) return undefined;
    // Strangers choose the path: each of its thousands of beginnings would be hashed.
    const first = path.length <= this.#longest ? path.length : path.lastIndexOf('/', this.#longest);
    for (let end = first; end > 0; end = path.lastIndexOf('/', end - 1)) {
      const found = this.#configured.get(path.slice(0, end));
      if (!found) continue;
      const { endpoint, target } = found;
      if (end < path.length && !endpoint.includeSubpath) continue;
      const isTaken = endpoint.methods.some((each) => each === method);
      return isTaken ? this.#handler(target, { path, rest: path.slice(end) }) : undefined;
    }
    return this.#matchProvider(path);
  }

  #matchProvider(path: string): Handler | undefined {
    const slash = path.indexOf('/', 1);
    if (slash === -1) return undefined;
    const name = path.slice(1, slash);
    // Azure's way to name a model is a route of our own: a spelling of it that is not one must not be another call.
    if (name === 'openai' && path.startsWith('/deployments', slash)) return undefined;
    const target = this.#providers.get(name);
    if (!target) return undefined;
    const first = target.name === 'langfuse' ? [(exchange: Exchange) => readBasicCredential(exchange.request)] : [];
    return this.#handler(target, { path, rest: path.slice(slash), first });
  }

  /** What a key may call is decided by the path itself: the daemon has refused those with two readings. */
  #handler(
    target: Target,
    { path, rest, first }: { readonly path: string; readonly rest: string; readonly first?: readonly Step[] },
  ): Handler {
    const steps = new PassedCallSteps(this.#deps, target, rest).steps(first);
    return { name: 'pass_through_endpoint', steps, route: path, path, parameter: undefined };
  }
}
