import { GatewayError } from '../kernel/errors.ts';
import { dialects } from './dialects.ts';
import { type ProviderPrefix, providerPrefixes } from './provider-prefixes.ts';
import { deploymentOf, type Target } from './target.ts';
import { type Base, baseOf } from './upstream-target.ts';

const versioned = /^\/v\d/;

/** A variable of the daemon's environment, where it is set. */
export type Variable = (name: string) => string | undefined;

/** What the database has for a provider; it comes before the environment. */
export interface KeptCredential {
  readonly apiKey: string | undefined;
  readonly apiBase: string | undefined;
  readonly allowPrivateNetwork: boolean;
}

/** Where the prefixes of providers lead, by their first segment. */
export function providerTargets(
  variable: Variable,
  kept: ReadonlyMap<string, KeptCredential>,
): ReadonlyMap<string, Target> {
  return new Map(providerPrefixes.map((prefix) => [prefix.name, targetOf(prefix, variable, kept.get(prefix.name))]));
}

function targetOf(prefix: ProviderPrefix, variable: Variable, kept: KeptCredential | undefined): Target {
  const { name, catalogue, dialect, isVersioned = false, forwards, isKeyOptional } = prefix;
  const key = kept?.apiKey ?? firstOf(prefix.keyFrom, variable);
  // A key of the database goes to the address of the database, and not where the environment's key goes.
  const address = (kept ? kept.apiBase : firstOf(prefix.baseFrom, variable)) ?? prefix.base;
  const base = address === undefined ? undefined : baseOf(isVersioned ? address.replace(/\/v\d+\/*$/, '') : address);
  return {
    name,
    baseFor: () => {
      if (!base) throw misconfigured(name, prefix.baseFrom, address === undefined ? 'is not set' : 'is no plain URL');
      if (key === undefined && !isKeyOptional) throw misconfigured(name, prefix.keyFrom, 'is not set');
      return base;
    },
    dialect: dialect && dialects[dialect],
    shownBase: '',
    isPrivate: kept ? kept.allowPrivateNetwork : address !== prefix.base,
    grantedAs: name,
    deployment: deploymentOf({ name, provider: catalogue, apiKey: key }),
    free: deploymentOf({ name, provider: catalogue, apiKey: key, costPerRequest: 0 }),
    headers: key === undefined ? [] : prefix.authorize(key),
    forwards,
    query: {},
    restOf: (rest) => (isVersioned && !versioned.test(rest) ? `/v1${rest}` : rest),
    timeoutMs: undefined,
  };
}

export const firstOf = (names: readonly string[], variable: Variable): string | undefined =>
  names.map((name) => variable(name)?.trim()).find(Boolean);

export const misconfigured = (name: string, variables: readonly string[], what: string): GatewayError =>
  new GatewayError(
    'upstream',
    'upstream_misconfigured',
    `The pass-through to ${name} cannot be used: ${variables[0]} ${what}`,
    {
      hint: `Set ${variables.join(' or ')} in the environment of the daemon.`,
    },
  );

export const requireBase = (address: string, name: string, variables: readonly string[]): Base => {
  const base = baseOf(address);
  if (!base) throw misconfigured(name, variables, 'is no plain URL');
  return base;
};
