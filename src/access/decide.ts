import { GatewayError } from '../kernel/errors.ts';
import { callChecks, passedPathChecks, routeCheck, tokenRouteCheck } from './call-checks.ts';
import { type Asked, type Check, type Denial, firstDenial, type ModelLists } from './checks.ts';
import { modelChecks } from './model-checks.ts';
import type { Payer } from './payers.ts';
import type { Principal } from './principal.ts';

/** What is known of a model beside its name, as it is for the keys of one team. */
export interface ModelScope {
  /** Names that stand for it in a list of models: LiteLLM's access groups. */
  readonly groups: ReadonlySet<string>;
  /** A model of the caller's own team: it is the team's without standing in the team's list. */
  readonly isOfTeam: boolean;
}

export const plainScope: ModelScope = { groups: new Set(), isOfTeam: false };

/** What is known of a model that is asked for by name. */
export type ScopeOf = (model: string) => ModelScope;

/** A call as somebody asks for it. */
export interface AskedCall {
  /** As the client names it. */
  readonly model: string;
  /** The path as it was registered, such as `/models/:model`, and as it was called. */
  readonly route: string;
  readonly path: string;
  /** What stands for it in groups of routes, where it is of an operator's making and in none. */
  readonly alsoRoute?: string | undefined;
  /** Whether it goes on as it is, so that lists of pass-through routes hold for it. */
  readonly isPassed?: true;
  /** The request's body. */
  readonly fields: Readonly<Record<string, unknown>>;
  /** The customer and the tags it names, its key's tags included. */
  readonly payers: readonly Payer[];
}

export interface Decision {
  /** The model that is called: what an alias stands for. */
  readonly model: string;
  readonly denial?: Denial | undefined;
}

/** Everything that is decided of a call, in this order; after it come the budgets and limits it has to fit into. */
export const decisionChecks: readonly Check<Asked>[] = [
  routeCheck,
  tokenRouteCheck,
  ...passedPathChecks,
  ...modelChecks,
  ...callChecks,
];

/**
 * Whether somebody may make a call. The one place that says so: what lists show, what a trace says and what calls do is
 * the same.
 *
 * Aliases come first, and what they stand for is what must be allowed: a name somebody may use cannot lead to a model
 * they may not.
 */
export function decide(principal: Principal, call: AskedCall, scopeOf: ScopeOf): Decision {
  const asked = askedOf(principal, call, scopeOf);
  return { model: asked.model, denial: firstDenial(decisionChecks, asked) };
}

/** A call with its aliases resolved: what the checks look at. */
export function askedOf(principal: Principal, call: AskedCall, scopeOf: ScopeOf): Asked {
  const model = resolveAlias(principal, call.model);
  return { principal, call, model, scope: scopeOf(model) };
}

/** The key's alias, then its team's of what that stands for; no further, so there are no circles. */
export function resolveAlias(
  { aliases, teamAliases }: Pick<Principal, 'aliases' | 'teamAliases'>,
  model: string,
): string {
  const named = aliased(aliases, model);
  return aliased(teamAliases, named);
}

const aliased = (aliases: Readonly<Record<string, string>>, model: string): string =>
  Object.hasOwn(aliases, model) ? (aliases[model] ?? model) : model;

/** Whether the caller may call a model, by any of its names: what a list of models shows is exactly that. */
export function allows(
  principal: ModelLists,
  { model: named, route }: { readonly model: string; readonly route?: string | undefined },
  scopeOf: ScopeOf,
): boolean {
  const model = resolveAlias(principal, named);
  const asked = { principal, model, scope: scopeOf(model), ...(route !== undefined && { call: { route } }) };
  return firstDenial(modelChecks, asked) === undefined;
}

/**
 * The model to call, where the call is allowed.
 *
 * @param status of a model that is not: 403, or 401 as LiteLLM answered until April 2026
 * @throws GatewayError 403, or 400 for a parameter that is missing
 */
export function requireCall(
  principal: Principal,
  call: AskedCall,
  { status, scopeOf }: { readonly status: number; readonly scopeOf: ScopeOf },
): string {
  const { model, denial } = decide(principal, call, scopeOf);
  if (denial) throw asError(denial, status);
  return model;
}

/** For routes that call no model. */
export function requireRoute(principal: Principal, call: Pick<AskedCall, 'route' | 'path'>): void {
  const denial = firstDenial([routeCheck, tokenRouteCheck], { principal, call });
  if (denial) throw asError(denial, 403);
}

/** @param modelStatus of a model that is not among those of a list */
export function asError({ rule, kind, type, param, message }: Denial, modelStatus: number): GatewayError {
  return new GatewayError(kind, type, message(), { param, ...(rule.endsWith('.models') && { status: modelStatus }) });
}
