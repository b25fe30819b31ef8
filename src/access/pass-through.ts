import { type Asked, type Denial, firstDenial } from './checks.ts';
import { asError, type AskedCall, decisionChecks, plainScope } from './decide.ts';
import type { Principal } from './principal.ts';

/** A call that goes on as it is. */
export interface PassedCall extends Omit<AskedCall, 'model'> {
  /** Names of the model, any of which may be allowed; empty where none is called. */
  readonly models: readonly string[];
}

const withoutModel = decisionChecks.filter(({ rule }) => !rule.endsWith('.models'));

/**
 * Whether somebody may make a call that reaches its upstream as it is. No name is looked up: an alias, an access group or a
 * model of a team stands for a deployment of this gateway, and its name means something else at the upstream.
 *
 * @param status of a model that is not allowed
 * @throws GatewayError 403, or 400 for a parameter that is missing
 */
export function requirePassed(principal: Principal, call: PassedCall, status: number): void {
  const denials = call.models.map((model) => denialOf(principal, { ...call, model }));
  const denial =
    call.models.length === 0 ? firstDenial(withoutModel, asked(principal, { ...call, model: '' })) : denials[0];
  if (!denial || denials.includes(undefined)) return;
  throw asError(denial, status);
}

const asked = (principal: Principal, call: AskedCall): Asked => ({
  principal,
  call: { ...call, isPassed: true },
  model: call.model,
  scope: plainScope,
});

const denialOf = (principal: Principal, call: AskedCall): Denial | undefined =>
  firstDenial(decisionChecks, asked(principal, call));
