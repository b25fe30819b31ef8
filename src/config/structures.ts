import type { z } from 'zod';
import { unknownKey } from './deployments.ts';
import type { Problems } from './problems.ts';
import type { Resolver } from './resolver.ts';
import type { Tree } from './yaml.ts';

export interface StructureContext {
  readonly problems: Problems;
  readonly resolver: Resolver;
}

/** What `members` answers. */
export type Values<Shape extends Record<string, z.ZodType>> = { [Name in keyof Shape]?: z.output<Shape[Name]> };

/** The members of a mapping, each read by its schema; what is wrong is reported with its place. */
export function members<const Shape extends Record<string, z.ZodType>>(
  tree: Tree | undefined,
  shape: Shape,
  context: StructureContext,
): Values<Shape> {
  const values: Record<string, unknown> = {};
  if (tree?.kind === 'map') {
    for (const [name, { value }] of tree.entries) {
      const schema = Object.hasOwn(shape, name) ? shape[name] : undefined;
      if (!schema || (value.kind === 'scalar' && value.value === null)) continue;
      const read = schema.safeParse(context.resolver.plain(value));
      if (read.success) values[name] = read.data;
      else context.problems.add(value.at, `${name}: ${read.error.issues[0]?.message ?? 'is not valid'}`);
    }
  }
  refuseOthers(tree, Object.keys(shape), context);
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- each value has passed the schema of its name
  return values as Values<Shape>;
}

/** Takes a name that is not known for a mistake. */
export function refuseOthers(tree: Tree | undefined, known: readonly string[], { problems }: StructureContext): void {
  if (!tree || (tree.kind === 'scalar' && tree.value === null)) return;
  if (tree.kind !== 'map') {
    problems.add(tree.at, 'must be a mapping');
    return;
  }
  for (const [name, { at }] of tree.entries) if (!known.includes(name)) problems.add(at, unknownKey(name, known));
}
