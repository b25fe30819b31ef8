import { refusing } from '../kernel/permits.ts';
import { letsPassed } from '../kernel/passed-paths.ts';
import { letsRoute } from '../kernel/route-groups.ts';
import { type Asked, type Check, type Denial, listed, type Rule } from './checks.ts';
import type { AskedCall } from './decide.ts';
import { lists, notListed, tokenLacks } from './model-checks.ts';

/** Whether the caller may come this way at all. */
export const routeCheck: Check<
  Pick<Asked, 'principal'> & { readonly call: Pick<AskedCall, 'route' | 'path' | 'alsoRoute'> }
> = {
  rule: 'key.routes',
  deny: ({ principal: { allowedRoutes }, call: { route, path, alsoRoute } }) =>
    letsRoute(allowedRoutes, route) || (alsoRoute !== undefined && letsRoute(allowedRoutes, alsoRoute))
      ? undefined
      : {
          rule: 'key.routes',
          kind: 'forbidden',
          type: 'route_not_allowed',
          message: () =>
            `Virtual key is not allowed to call this route. Only allowed to call routes: [${allowedRoutes.join(', ')}]. ` +
            `Tried to call route: ${path}`,
        },
  basis: ({ principal: { allowedRoutes }, call: { path } }) => `${path}, of ${listed(allowedRoutes)}`,
};

/** Whether the token lets its bearer come this way. */
export const tokenRouteCheck: typeof routeCheck = {
  rule: 'token.routes',
  deny: ({ principal: { token }, call: { route, path, alsoRoute } }) => {
    const limit = token && refusing(token.permits, { route, alsoRoute });
    return (
      limit && {
        rule: 'token.routes',
        kind: 'forbidden',
        type: 'route_not_allowed',
        message: () => tokenLacks(limit, 'routes', path),
      }
    );
  },
  basis: ({ principal: { token }, call: { path } }) =>
    token && token.permits.length > 0 ? `${path}, by ${token.permits.map(({ name }) => name).join(', ')}` : undefined,
};

/** The lists of the key and of its team: both must let the path through, so that a key's never widens its team's. */
const passedPathCheck = (owner: 'key' | 'team', pathsOf: (asked: Asked) => readonly string[]): Check<Asked> => {
  const rule: Rule = `${owner}.passthrough_routes`;
  return {
    rule,
    deny: (asked) => {
      const { path, isPassed } = asked.call;
      if (!isPassed || letsPassed(pathsOf(asked), path)) return undefined;
      return {
        rule,
        kind: 'forbidden',
        type: 'route_not_allowed',
        message: () =>
          `${owner} not allowed to call this pass-through route. This ${owner} can only call ` +
          `allowed_passthrough_routes=[${pathsOf(asked).join(', ')}]. Tried to call route: ${path}`,
      };
    },
    basis: (asked) => (asked.call.isPassed ? `${asked.call.path}, of ${listed(pathsOf(asked))}` : undefined),
  };
};

export const passedPathChecks: readonly Check<Asked>[] = [
  passedPathCheck('key', ({ principal: { passedPaths } }) => passedPaths),
  passedPathCheck('team', ({ principal: { teamPassedPaths } }) => teamPassedPaths),
];

/** What a call names besides its model: its tags, its customer, and what its key wants to be told. */
export const callChecks: readonly Check<Asked>[] = [
  {
    rule: 'tag.models',
    deny: ({ call: { payers }, model, scope }) => {
      const tag = payers.find(({ entity, models }) => entity === 'tag' && !lists(models, model, scope));
      return tag && notListed('tag.models', 'tag', tag.models, model);
    },
    basis: ({ call: { payers } }) => namesOf(payers, 'tag'),
  },
  {
    rule: 'customer.blocked',
    deny: ({ call: { payers } }) => {
      const customer = payers.find(({ blocked: isBlocked }) => isBlocked);
      return customer && customerBlocked(customer.id);
    },
    basis: ({ call: { payers } }) => namesOf(payers, 'customer'),
  },
  {
    rule: 'key.params',
    deny: ({ principal: { enforcedParams }, call: { fields } }) => {
      const missing = enforcedParams.find((name) => !hasParam(fields, name.split('.')));
      return missing === undefined ? undefined : missingParam(missing);
    },
    basis: ({ principal: { enforcedParams } }) =>
      enforcedParams.length === 0 ? undefined : `needs ${enforcedParams.join(', ')}`,
  },
];

const namesOf = (payers: AskedCall['payers'], entity: 'customer' | 'tag'): string | undefined =>
  payers
    .filter((payer) => payer.entity === entity)
    .map(({ label }) => label)
    .join(', ') || undefined;

/** Of a blocked customer LiteLLM says the same, as a 400. */
const customerBlocked = (id: string): Denial => ({
  rule: 'customer.blocked',
  kind: 'forbidden',
  type: 'customer_blocked',
  param: 'user',
  message: () => `User blocked from making LLM API Calls. User=${id}`,
});

const missingParam = (name: string): Denial => ({
  rule: 'key.params',
  kind: 'invalid',
  type: 'missing_parameter',
  param: name,
  message: () => `BadRequest please pass param=${name} in request body. This is a required param`,
});

/** A parameter may be one of an object's: `metadata.project`. */
function hasParam(fields: unknown, [name, ...rest]: readonly string[]): boolean {
  if (name === undefined) return fields !== null && fields !== undefined;
  if (typeof fields !== 'object' || fields === null || !Object.hasOwn(fields, name)) return false;
  return hasParam(Reflect.get(fields, name), rest);
}
