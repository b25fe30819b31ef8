import type { EntityManager } from '@mikro-orm/postgresql';
import { SCHEMA } from '../db/schema.ts';
import type { Held, HeldGrant } from '../kernel/grant.ts';
import { type Actor, type AnyOperation, isReading, type Role } from '../kernel/operation.ts';
import { heldBy, type Permits, refusing } from '../kernel/permits.ts';
import { letsRoute } from '../kernel/route-groups.ts';
import { adminOnly, notOfWorkload, routeNotAllowed, routeNotOfToken } from './authority.errors.ts';
import { callerOf, type CallerRow, type GrantRow, grantOf, isBound, withinBounds } from './caller.ts';
import { Reach } from './reach.ts';
import { tokenCallerOf } from './token-caller.ts';

interface Asking {
  readonly actor: Actor;
  readonly groups: readonly string[];
}

/**
 * What a caller may do, read in the transaction in which it is then done, so that a role taken away a moment ago counts.
 *
 * The key that was used bounds its user: a key of one team touches nothing of another, whatever its user administers
 * there; a key without a user administers nothing. Whoever administers a team makes keys for its members and holds their
 * secrets: so with a key of a team nobody is an administrator of everything, even when its user becomes one, and nobody
 * gets at what the user has outside of the team.
 */
export class Authority extends Reach {
  #permits: readonly Permits[] = [];
  #mayBeAdmin = true;
  #route = '';
  readonly isAdmin: boolean;
  readonly #configuredGroups: readonly string[];

  private constructor(em: EntityManager, { actor, groups }: Asking, caller: CallerRow | undefined) {
    super(em, caller, actor.type === 'jwt' ? actor.workload : undefined);
    this.#configuredGroups = groups;
    this.isAdmin = caller === undefined || isAdministrator(actor, caller);
    const token = tokenOf(actor);
    if (token) [this.#permits, this.#mayBeAdmin] = [token.permits, token.mayBeAdmin];
  }

  /**
   * @param groups the access groups of the configuration; those of the database are read when they are asked for
   * @throws GatewayError 401 when what the caller came with has ended or was blocked since it was authenticated
   */
  static async of(em: EntityManager, asking: Asking): Promise<Authority> {
    const { actor } = asking;
    if (actor.type === 'key') return new Authority(em, asking, await callerOf(em, actor));
    if (actor.type === 'jwt') return new Authority(em, asking, await tokenCallerOf(em, actor));
    return new Authority(em, asking, undefined);
  }

  /** Undefined for whoever has no key: operators, the master key and tokens. */
  get keyId(): string | undefined {
    return this.caller?.id ?? undefined;
  }

  /** The route that was asked for, as it is registered: LiteLLM names it where it refuses. */
  get route(): string {
    return this.#route;
  }

  /** A key without a user is a service's: it works, and administers nothing. */
  get role(): Role | 'service' {
    if (!this.caller) return 'proxy_admin';
    if (this.isAdmin) return 'proxy_admin';
    if (this.workload) return 'internal_user';
    const { user_role: role } = this.caller;
    if (role === null) return 'service';
    // What an administrator owns makes one: with a token of an issuer that may not, nothing of it is changed or handed out.
    if (!this.#mayBeAdmin && role !== withinBounds(role)) return 'internal_user_viewer';
    return isBound(this.caller) ? withinBounds(role) : role;
  }

  /** Administrators, and whoever may look at everything. */
  get seesAll(): boolean {
    return this.isAdmin || this.role === 'proxy_admin_viewer';
  }

  /** Whether the caller may change anything at all. */
  get mayWrite(): boolean {
    return this.isAdmin || this.role === 'internal_user';
  }

  /** @throws GatewayError 403 when the caller may not ask for the operation, whatever the object */
  requireOperation(operation: Pick<AnyOperation<never>, 'access' | 'command' | 'route' | 'alsoAt' | 'isRead'>): void {
    const paths = [operation.route, ...(operation.alsoAt ?? [])].map(([, path]) => path);
    this.#route = paths[0] ?? '';
    this.#requireByToken(operation.command.join(' '), paths);
    const allowed = this.caller?.allowed_routes ?? [];
    if (!paths.some((path) => letsRoute(allowed, path))) throw routeNotAllowed(allowed, paths[0] ?? '');
    if (this.isAdmin) return;
    if (isReading(operation) ? operation.access === 'scoped' || this.seesAll : this.#mayAsk(operation)) return;
    throw adminOnly(paths[0] ?? '', this.role);
  }

  /** What the token itself lets its bearer do. */
  #requireByToken(command: string, paths: readonly string[]): void {
    if (this.workload) {
      if (!this.workload.operations.includes(command)) throw notOfWorkload(this.workload, command);
      return;
    }
    const limits = paths.map((route) => refusing(this.#permits, { route }));
    const [limit] = limits;
    if (limit && !limits.includes(undefined)) {
      throw routeNotOfToken(limit, this.#route);
    }
  }

  #mayAsk({ access }: Pick<AnyOperation<never>, 'access'>): boolean {
    return access === 'scoped' && this.mayWrite;
  }

  /** What the key that was used may do itself: nobody is given more with it. Undefined for administrators. */
  get ownGrant(): HeldGrant | undefined {
    if (this.isAdmin || !this.caller) return undefined;
    const { allowed_routes: allowedRoutes, allowed_ips: allowedIps, expires_at: expires } = this.caller;
    const expiresAt = expires === null ? null : new Date(expires);
    return { grant: { ...grantOf(this.caller), allowedRoutes, allowedIps, expiresAt }, isInherited: false };
  }

  /** What the token itself may do, in whatever key it is given away. Nothing for administrators, and for jobs. */
  get tokenGrants(): readonly Held[] {
    return this.isAdmin || this.workload ? [] : this.#permits.map(heldBy);
  }

  /** What an owner holds, read as it is now. Limits an owner has are looked at with every call of its keys. */
  async grantOf(owner: 'team' | 'user' | 'organization', id: string): Promise<HeldGrant | undefined> {
    const [row] = await this.em.execute<GrantRow[]>(
      `select models, max_budget, tpm_limit, rpm_limit, max_parallel_requests${owner === 'team' ? ', allowed_passthrough_routes' : ''} from ${SCHEMA}.${owner}s where id = ?`,
      [id],
    );
    return row && { grant: grantOf(row), isInherited: true };
  }

  /** The names of access groups, wherever a deployment names one. */
  async accessGroups(): Promise<ReadonlySet<string>> {
    const rows = await this.em.execute<{ name: string }[]>(
      `select distinct jsonb_array_elements_text(info -> 'access_groups') as name from ${SCHEMA}.models
       where jsonb_typeof(info -> 'access_groups') = 'array'`,
    );
    return new Set([...this.#configuredGroups, ...rows.map(({ name }) => name)]);
  }
}

/** With a token that names a team or an organization nobody is an administrator of everything, as with a key of theirs. */
function isAdministrator(actor: Actor, caller: CallerRow): boolean {
  if (isBound(caller)) return false;
  if (actor.type === 'jwt' && (actor.isAdmin || actor.workload !== undefined)) return true;
  return caller.user_role === 'proxy_admin' && tokenOf(actor)?.mayBeAdmin !== false;
}

/** What a JWT says beside the key or the user it stands for. */
const tokenOf = (actor: Actor) => (actor.type === 'jwt' ? actor : actor.type === 'key' ? actor.token : undefined);
