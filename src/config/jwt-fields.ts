import { z } from 'zod';
import { duration, toMilliseconds } from '../kernel/duration.ts';
import { isKeyUrl, keyUrlRule } from '../kernel/key-url.ts';
import type { ClaimFields, ClaimPath } from './jwt-settings.ts';
import { members, type StructureContext } from './structures.ts';
import type { Tree } from './yaml.ts';

const text = z.string().min(1).max(500);

/** Splits at dots; one that belongs to a name, as in `https://example.com/roles`, has a backslash before it. */
const claimPath = text.transform((path, context): ClaimPath => {
  const names = path.split(/(?<!\\)\./).map((name) => name.replaceAll(String.raw`\.`, '.'));
  if (!names.includes('')) return names;
  context.addIssue('must be the name of a claim, or names with dots between them');
  return z.NEVER;
});

/** LiteLLM's names of the settings that say where a claim stands. */
export const claimNames = {
  user_id_jwt_field: 'userId',
  user_email_jwt_field: 'userEmail',
  user_roles_jwt_field: 'userRoles',
  team_id_jwt_field: 'teamId',
  team_ids_jwt_field: 'teamIds',
  team_alias_jwt_field: 'teamAlias',
  org_id_jwt_field: 'organizationId',
  org_alias_jwt_field: 'organizationAlias',
  end_user_id_jwt_field: 'endUserId',
  roles_jwt_field: 'roles',
  object_id_jwt_field: 'objectId',
  virtual_key_claim_field: 'virtualKey',
  // LiteLLM's first name of the one above.
  jwt_client_id_field: 'virtualKey',
} as const satisfies Record<string, keyof ClaimFields>;

/** For `members`. */
// oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the keys of a literal are exactly its names
export const claimShape = Object.fromEntries(Object.keys(claimNames).map((name) => [name, claimPath])) as Record<
  keyof typeof claimNames,
  typeof claimPath
>;

/** What a mapping says of claims. A null takes away what is set for all issuers, so that it is not read of this one. */
export function claimFields(tree: Tree | undefined, context: StructureContext): ClaimFields {
  const fields: Partial<Record<keyof ClaimFields, ClaimPath | undefined>> = {};
  if (tree?.kind !== 'map') return fields;
  for (const [name, field] of Object.entries(claimNames)) {
    const value = tree.entries.get(name)?.value;
    if (!value) continue;
    const read = claimPath.safeParse(context.resolver.plain(value));
    // What is wrong has been reported by `members`.
    fields[field] = read.success ? read.data : undefined;
  }
  return fields;
}

/** A list of mappings, each read by the same shape. */
export function items<const Shape extends Record<string, z.ZodType>>(
  tree: Tree | undefined,
  shape: Shape,
  context: StructureContext,
) {
  if (!tree || (tree.kind === 'scalar' && tree.value === null)) return [];
  if (tree.kind !== 'list') {
    context.problems.add(tree.at, 'must be a list');
    return [];
  }
  return tree.items.map((item) => ({ item, values: members(item, shape, context) }));
}

/** One or several texts. */
export const texts = z.union(
  [text.transform((one) => [one]), z.array(text).min(1).max(100)],
  'must be a text or a list',
);

export const millisecondsFrom = (least: number, most: number, words: string) =>
  z.union([z.string(), z.number()], `must be ${words}`).transform((given, context) => {
    const read = duration.safeDecode(typeof given === 'number' || /^\d+$/.test(given) ? `${given}s` : given);
    const milliseconds = read.success ? toMilliseconds(read.data) : Number.NaN;
    if (milliseconds >= least && milliseconds <= most) return milliseconds;
    context.addIssue(`must be ${words}`);
    return z.NEVER;
  });

export const keyUrl = z.string().refine(isKeyUrl, `must ${keyUrlRule}`);
