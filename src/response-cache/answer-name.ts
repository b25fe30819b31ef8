import type { Principal } from '../access/principal.ts';

/**
 * The members of a body in one order, whatever the order they came in. All of them but a few: an upstream may heed
 * a member that nobody here knows, and a cache that passed it over would give one question's answer to another.
 *
 * @param passedOver members that say how the body is to be answered, or for whose books, and not what
 */
export function canonicalFields(fields: Readonly<Record<string, unknown>>, passedOver: ReadonlySet<string>): string {
  return JSON.stringify(
    Object.keys(fields)
      .filter((name) => !passedOver.has(name))
      .toSorted()
      .map((name) => [name, sorted(fields[name])]),
  );
}

/**
 * Bodies are nested as deep as the gateway reads them, and no deeper. Models write what a JSON schema describes in the
 * order of its `properties`, a verdict before its reasons or after them: there the order is a part of the question.
 */
function sorted(value: unknown, isOrdered = false): unknown {
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return value.map((each) => sorted(each));
  const entries = Object.entries(value).map(([name, inner]) => [name, sorted(inner, name === 'properties')] as const);
  return isOrdered ? entries : Object.fromEntries(entries.toSorted(([one], [other]) => (one < other ? -1 : 1)));
}

/** Who may be given what whom was answered: the keys of a team, or a key, or the user of a token. */
export function tenantOf({ kind, keyId, hash, userId, teamId }: Principal): string {
  if (teamId !== null) return JSON.stringify(['team', teamId]);
  if (kind === 'jwt') return JSON.stringify(['user', userId ?? hash]);
  return JSON.stringify([kind, keyId]);
}
