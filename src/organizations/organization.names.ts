import type { EntityManager } from '@mikro-orm/postgresql';
import type { Authority } from '../access/authority.ts';
import { SCHEMA } from '../db/schema.ts';
import { sqlArray } from '../db/sql-array.ts';
import type { AnyOperation } from '../kernel/operation.ts';

/** Fields by which operations on other objects name organizations. */
const fields = ['organizationId', 'organizationIds', 'organizations'] as const;

const textsOf = (value: unknown): readonly string[] =>
  [value].flat().filter((each): each is string => typeof each === 'string');

/**
 * The input with ids where it names organizations by alias, as teams may be named. An id comes first, and only
 * organizations the caller knows have an alias: of any other the answer is that of one that is not there.
 */
export async function withOrganizationIds(
  input: unknown,
  { command: [noun, verb] }: Pick<AnyOperation<never>, 'command'>,
  { em, authority }: { readonly em: EntityManager; readonly authority: Authority },
): Promise<unknown> {
  // These look for themselves, and `org create` names what is not there yet.
  if ((noun === 'org' && verb !== 'activity') || typeof input !== 'object' || input === null) return input;
  const given = new Map(fields.map((field) => [field, Reflect.get(input, field) as unknown]));
  const named = [...given.values()].flatMap(textsOf);
  if (named.length === 0) return input;
  const known = authority.seesAll ? null : sqlArray(await authority.memberOrganizations());
  const rows = await em.execute<{ id: string; alias: string }[]>(
    `select id, alias from ${SCHEMA}.organizations o where alias = any (?::text[]) and (?::text[] is null or id = any (?::text[]))
       and not exists (select 1 from ${SCHEMA}.organizations other where other.id = o.alias)`,
    [sqlArray(named), known, known],
  );
  if (rows.length === 0) return input;
  const ids = new Map(rows.map(({ id, alias }) => [alias, id]));
  const idOf = (text: unknown): unknown => (typeof text === 'string' ? (ids.get(text) ?? text) : text);
  const resolved = [...given].flatMap(([field, value]) =>
    value === undefined ? [] : [[field, Array.isArray(value) ? value.map(idOf) : idOf(value)] as const],
  );
  return { ...input, ...Object.fromEntries(resolved) };
}
