import { z } from 'zod';
import { claimPath, items, texts } from './jwt-fields.ts';
import type { WorkloadRole } from './jwt-settings.ts';
import { type StructureContext } from './structures.ts';
import type { Tree } from './yaml.ts';

const text = z.string().min(1).max(500);

const shape = {
  name: text.max(100),
  // A pattern that lets every value through says nothing of who is meant.
  match: z
    .record(z.string(), texts)
    .refine((match) => Object.keys(match).length > 0, 'must name at least one claim')
    .refine(
      (match) =>
        Object.values(match)
          .flat()
          .every((pattern) => /[^*]/.test(pattern)),
      'must have patterns that leave something out: * lets everybody in',
    ),
  operations: z
    .array(z.string().regex(/^[a-z-]+(?: [a-z-]+)*$/, 'must be commands, such as key generate'))
    .min(1)
    .max(200),
  team: text,
  organization: text,
} as const;

/**
 * Reads the roles of an issuer's workloads.
 *
 * @param mayBeEverywhere whether the issuer may make administrators: a role without a team and an organization acts as one
 */
export function readWorkloadRoles(
  tree: Tree | undefined,
  mayBeEverywhere: boolean,
  context: StructureContext,
): WorkloadRole[] {
  return items(tree, shape, context).flatMap(({ item, values }) => {
    const { name, match, operations, team, organization } = values;
    if (item.kind !== 'map') return [];
    const { problems } = context;
    for (const needed of ['name', 'match', 'operations']) {
      if (!item.entries.has(needed)) problems.add(item.at, `${needed} is missing`);
    }
    if (team !== undefined && organization !== undefined) {
      problems.add(item.at, 'team and organization cannot both be given: a team is in its organization');
    }
    if (team === undefined && organization === undefined && !mayBeEverywhere) {
      problems.add(
        item.at,
        'team or organization is missing: without them the role acts everywhere, and its issuer needs may_grant_admin: true',
      );
    }
    if (name === undefined || match === undefined || operations === undefined) return [];
    const claims = Object.entries(match).flatMap(([path, patterns]) => {
      const claim = claimPath.safeParse(path);
      if (!claim.success) problems.add(item.at, `match: ${path} is no claim`);
      return claim.success ? [{ claim: claim.data, patterns }] : [];
    });
    return [{ name, match: claims, operations, teamId: team ?? null, organizationId: organization ?? null }];
  });
}
