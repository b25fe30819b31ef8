import type { KeyCache } from './access/key-cache.ts';
import type { Payers } from './access/payers.ts';
import type { DataPlaneParts } from './data-plane.ts';
import { type Change, Listener } from './db/notify.ts';
import type { OutageLog } from './db/outage-log.ts';
import { tokensOf } from './keys/key.queries.ts';
import type { Metering } from './metering/metering.ts';
import type { DeploymentTable } from './proxy/routing.ts';
import type { ResponseCache } from './response-cache/response-cache.ts';

export type Follow = (change: Change) => Promise<void> | void;

/** What follows changes. */
export interface Kept {
  readonly cache: KeyCache;
  readonly payers: Payers;
  readonly reload: () => Promise<void>;
  readonly reloadPassThroughs: () => Promise<void>;
  readonly reloadCallbacks: () => Promise<void>;
  readonly metering: Metering;
  readonly deployments: DeploymentTable;
  readonly responseCache: Pick<ResponseCache, 'delete' | 'clear'> | undefined;
}

/** Drops what a change makes untrue. */
export function follower(
  { database, log }: DataPlaneParts,
  { cache, payers, reload, reloadPassThroughs, reloadCallbacks, metering, deployments, responseCache }: Kept,
): Follow {
  const failed = (error: unknown): undefined => {
    log('error', 'A change could not be followed', { error });
  };
  return (change) => {
    // A credential may be one that calls are passed on with.
    if (change.entity === 'model') return Promise.all([reload(), reloadPassThroughs()]).then(undefined, failed);
    if (change.entity === 'jwt_key_mapping') return cache.invalidateTokens();
    if (change.entity === 'pass_through_endpoint') return reloadPassThroughs().catch(failed);
    if (change.entity === 'response_cache') {
      const { names } = change;
      const forgotten = names === 'all' ? responseCache?.clear() : responseCache?.delete(names);
      return forgotten?.then(() => undefined, failed);
    }
    if (change.entity === 'callback') return reloadCallbacks().catch(failed);
    if (change.entity === 'spend') {
      for (const [entity, id] of change.owners) metering.refresh(entity, id);
      return undefined;
    }
    const { entity, id } = change;
    // The change may be one of what it has spent: a reset budget has room from the next call on.
    if (entity !== 'budget') metering.refresh(entity, id);
    if (entity === 'customer' || entity === 'tag') return payers.forget(entity, id);
    if (entity === 'budget') payers.forgetAll();
    if (entity === 'key') return change.isNew ? cache.welcome(change.hashes) : cache.invalidate(change.hashes);
    cache.invalidateOwner(entity, id, () => tokensOf(database.pool, entity, id).catch(failed));
    // A deleted team took its models with it.
    return entity === 'team' && deployments.hasTeam(id) ? reload().catch(failed) : undefined;
  };
}

/** Whether a daemon that does not hear of it would let somebody in who is no longer. */
export const takesAway = (change: Change): boolean =>
  change.entity !== 'model' &&
  change.entity !== 'response_cache' &&
  change.entity !== 'callback' &&
  change.entity !== 'spend' &&
  !(change.entity === 'key' && change.isNew);

/** Hears of changes, whoever made them, and says when it cannot. */
export function listen(
  { database }: DataPlaneParts,
  {
    cache,
    payers,
    reload,
    reloadPassThroughs,
    reloadCallbacks,
    metering,
    follow,
    outage,
  }: Kept & { readonly follow: Follow; readonly outage: OutageLog },
): Listener {
  return new Listener({
    url: database.url,
    clients: database.reachability.clients,
    onChange: follow,
    onLease: (payload) => metering.heard(payload),
    onDoubt: () => database.reachability.doubt(),
    onUp: (since) => {
      database.reachability.found();
      cache.trust(since);
      payers.trust();
      outage.over();
      reload().catch((error: unknown) => outage.log('error', 'Models could not be read', { error }));
      reloadPassThroughs().catch((error: unknown) => {
        outage.log('error', 'Pass-through endpoints could not be read', { error });
      });
      reloadCallbacks().catch((error: unknown) => {
        outage.log('error', 'Callbacks of teams could not be read', { error });
      });
    },
    onDown: (error) => {
      database.reachability.lost();
      cache.distrust();
      payers.distrust();
      outage.begin(error);
    },
    onUnreadable: (error) => {
      cache.forgetAll();
      payers.distrust();
      outage.unreadable(error);
    },
  });
}
