import type pg from 'pg';
import { principalOf, type Seed } from '../access/principal-of.ts';
import type { Principal, TokenBounds } from '../access/principal.ts';
import type { JwtSettings } from '../config/jwt-settings.ts';
import { GatewayError } from '../kernel/errors.ts';
import { findKeyRows } from '../keys/key.queries.ts';
import { findBearerRows, findMappedToken } from './bearer.queries.ts';
import { refused, type Wanted, wantedOf } from './identity.ts';
import { missingOf, type Provisioning } from './provisioning.ts';
import { nobodyKnown, passedOver, requireKnown, roleOf, standingOf, standingRows, TEAMS_AT_MOST } from './standings.ts';
import type { VerifiedToken } from './verify.ts';

export interface BearersOptions {
  readonly pool: pg.Pool;
  readonly settings: JwtSettings;
  readonly seed: Seed;
  /** In one transaction, with its rows of the audit log. */
  readonly provision: (wanted: Provisioning) => Promise<void>;
}

export interface Borne {
  readonly principal: Principal;
  /** Milliseconds for which it may be remembered. */
  readonly ttl: number;
}

/** A refusal costs the look-ups of a token that is let in, so it is remembered, for less than anybody waits to be let in. */
const REFUSED_MS = 1_000;

/** Finds out whom a token that was verified stands for. */
export class Bearers {
  readonly #options: BearersOptions;
  /** By the tokens themselves, which their verifier remembers, and forgets. */
  readonly #refused = new WeakMap<VerifiedToken, { readonly error: GatewayError; readonly untilMs: number }>();

  constructor(options: BearersOptions) {
    this.#options = options;
  }

  /**
   * @throws GatewayError 403 when it stands for nobody here, or for somebody whom the rules refuse
   */
  async find(token: VerifiedToken, deadlineMs: number): Promise<Borne> {
    const before = this.#refused.get(token);
    if (before && before.untilMs > performance.now()) throw before.error;
    try {
      return await this.#find(token, deadlineMs);
    } catch (thrown) {
      if (thrown instanceof GatewayError && thrown.kind === 'forbidden') {
        this.#refused.set(token, { error: thrown, untilMs: performance.now() + REFUSED_MS });
      }
      throw thrown;
    }
  }

  async #find({ claims, issuer, expiresAt }: VerifiedToken, deadlineMs: number): Promise<Borne> {
    const { settings, provision } = this.#options;
    const wanted = wantedOf(claims, issuer, settings);
    const { virtualKey } = wanted.identity;
    if (wanted.workload || wanted.isAdmin || !issuer.claims.virtualKey)
      return this.#bear(wanted, expiresAt, deadlineMs);
    const mapped = virtualKey && (await this.#mapped(wanted, virtualKey, { expiresAt, deadlineMs }));
    if (mapped) return mapped;
    const { unregistered } = settings.virtualKeys;
    if (unregistered === 'reject') throw refused('no virtual key is mapped to its claim');
    const borne = await this.#bear(wanted, expiresAt, deadlineMs);
    if (unregistered === 'fallback_team_mapping' || !virtualKey) return borne;
    const { userId, teamId, organizationId, userBlocked, teamBlocked, organizationBlocked } = borne.principal;
    // Whoever is refused at once gets no key first.
    if (userBlocked || teamBlocked || organizationBlocked) return borne;
    const { issuer: issuerName, subject } = { issuer: issuer.issuer, subject: wanted.identity.subject };
    if (userId === null && teamId === null && organizationId === null) throw nobodyKnown();
    await provision({
      issuer: issuerName,
      subject,
      newKey: { ...virtualKey, userId, teamId, organizationId: teamId === null ? organizationId : null },
    });
    const registered = await this.#mapped(wanted, virtualKey, { expiresAt, deadlineMs });
    if (!registered) throw refused('the virtual key of its claim has gone again');
    return registered;
  }

  /** The key decides, as if it had been presented itself, within what scopes and roles let the token do. */
  async #mapped(
    wanted: Wanted,
    virtualKey: { readonly claim: string; readonly value: string },
    { expiresAt, deadlineMs }: { expiresAt: number; deadlineMs: number },
  ): Promise<Borne | undefined> {
    const { pool, seed, settings } = this.#options;
    const { issuer, identity, permits } = wanted;
    const found = await findMappedToken(pool, { issuer: issuer.issuer, ...virtualKey }, deadlineMs);
    if (!found) return undefined;
    if (!found.is_active) throw refused('the mapping of its claim to a virtual key is not active');
    const row = (await findKeyRows(pool, [found.token], deadlineMs)).get(found.token);
    if (!row) return undefined;
    const key = principalOf(row, seed);
    if (settings.virtualKeys.unregistered === 'auto_register') await this.#requireOwn(wanted, key.userId, deadlineMs);
    const token: TokenBounds = {
      issuer: issuer.issuer,
      subject: identity.subject,
      isAdmin: false,
      mayBeAdmin: issuer.mayGrantAdmin,
      permits,
      organizationId: null,
      customer: identity.customer,
      needsTeam: false,
      others: [],
      passedOver: [],
    };
    const ends = Math.min(key.expiresAt ?? expiresAt, expiresAt);
    const principal = Object.freeze({ ...key, role: roleOf(key.role, wanted), expiresAt: ends, token });
    return { principal, ttl: settings.virtualKeys.mappingTtlMs };
  }

  /**
   * A claim such as `azp` is the same for all who use one application: the first of them, for whom a key was registered,
   * must not be whom all others act as.
   */
  async #requireOwn(wanted: Wanted, owner: string | null, deadlineMs: number): Promise<void> {
    if (owner === null || (wanted.userId === undefined && wanted.userEmail === undefined)) return;
    const alone = (await this.#rows(wanted, deadlineMs)).at(-1);
    if (alone?.user_id !== owner) throw refused('the virtual key of its claim is another user’s');
  }

  async #bear(wanted: Wanted, expiresAt: number, deadlineMs: number): Promise<Borne> {
    const { settings, provision, seed } = this.#options;
    let rows = await this.#rows(wanted, deadlineMs);
    requireKnown(wanted, rows, { user: settings.users.upsert, team: settings.teams.upsert });
    const missing = missingOf(wanted, rows, settings);
    if (missing) {
      await provision(missing);
      rows = await this.#rows(wanted, deadlineMs);
      requireKnown(wanted, rows, { user: false, team: false });
    }
    const standings = standingRows(wanted, rows, settings);
    const principals = standings.map((row) => standingOf(row, { wanted, expiresAt, settings, seed }));
    const [first, ...others] = principals;
    if (!first?.token) throw nobodyKnown();
    const token = { ...first.token, others, passedOver: passedOver(rows, standings) };
    return { principal: Object.freeze({ ...first, token }), ttl: Number.POSITIVE_INFINITY };
  }

  #rows({ workload, userId, userEmail, teamId, teamAlias, teamIds, identity }: Wanted, deadlineMs: number) {
    const ofWorkload = workload && {
      userId: undefined,
      userEmail: undefined,
      teamIds: workload.teamId === null ? [] : [workload.teamId],
      teamAlias: undefined,
      organizationId: workload.organizationId ?? undefined,
      organizationAlias: undefined,
    };
    const named = ofWorkload ?? {
      userId,
      userEmail,
      teamIds: (teamId === undefined ? teamIds : [teamId]).slice(0, TEAMS_AT_MOST * 10),
      teamAlias,
      organizationId: identity.organizationId,
      organizationAlias: identity.organizationAlias,
    };
    return findBearerRows(this.#options.pool, named, deadlineMs);
  }
}
