import { everything, type Held, matchesPattern, NO_MODELS } from './grant.ts';
import { letsRoute } from './route-groups.ts';

/** Models and routes that something is limited to; absent is no limit, and an empty list lets nothing through. */
export interface Permit {
  readonly models?: readonly string[] | undefined;
  readonly routes?: readonly string[] | undefined;
}

/** A limit with a name for whoever runs into it. One of its permits has to let a call through, with its route and its model. */
export interface Permits {
  readonly name: string;
  readonly anyOf: readonly Permit[];
}

export interface Wish {
  /** As it was registered; absent where any route will do. */
  readonly route?: string | undefined;
  /** What stands for it in groups of routes. */
  readonly alsoRoute?: string | undefined;
  readonly model?: string | undefined;
  /** Names that stand for the model in lists. */
  readonly groups?: ReadonlySet<string> | undefined;
}

/** The first limit that does not let something through. */
export const refusing = (limits: readonly Permits[], wish: Wish): Permits | undefined =>
  limits.find(({ anyOf }) => !anyOf.some((permit) => lets(permit, wish)));

const lets = ({ routes, models }: Permit, { route, alsoRoute = route, model, groups }: Wish): boolean =>
  (route === undefined ||
    !routes ||
    routes.some((entry) => letsRoute([entry], route) || letsRoute([entry], alsoRoute ?? route))) &&
  (model === undefined || !models || models.some((entry) => means(entry, model, groups)));

const means = (entry: string, model: string, groups: ReadonlySet<string> | undefined): boolean =>
  entry === model ||
  entry === 'all-proxy-models' ||
  groups?.has(entry) === true ||
  (entry.includes('*') && matchesPattern(entry, model));

/** What a limit lists, for a person. */
export const listsOf = ({ anyOf }: Permits, which: 'models' | 'routes'): readonly string[] => [
  ...new Set(anyOf.flatMap((permit) => permit[which] ?? ['all'])),
];

/**
 * What of a limit can be given away: the models of one permit on the routes of that permit, and not of another. Permits
 * with the same routes are one.
 */
export function heldBy({ anyOf }: Permits): Held {
  const byRoutes = new Map<string, Permit>();
  for (const { models, routes } of anyOf) {
    if (routes?.length === 0) continue;
    const name = JSON.stringify(routes?.toSorted() ?? null);
    const before = byRoutes.get(name);
    const joined = before?.models && models ? [...before.models, ...models] : undefined;
    byRoutes.set(name, { routes, models: before ? joined : models });
  }
  return [...byRoutes.values()].map(({ models, routes }) => ({
    grant: {
      ...everything,
      models: models?.length === 0 ? [NO_MODELS] : (models ?? []),
      allowedRoutes: routes ?? [],
    },
    isInherited: false,
  }));
}
