import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import type pg from 'pg';
import { asDatabaseTrouble, databaseAway } from '../db/errors.ts';
import type { Reachability } from '../db/reachability.ts';
import { requireWithin } from '../kernel/client.ts';
import { GatewayError } from '../kernel/errors.ts';
import type { Networks } from '../kernel/networks.ts';
import { clientNetwork } from '../kernel/client-network.ts';
import { hashSecret, isMalformed, maskSecret } from '../kernel/secret.ts';
import { findKeyRow, type KeyRow } from '../keys/key.queries.ts';
import { callerChecks } from './caller-checks.ts';
import { type Caller, firstDenial } from './checks.ts';
import { readCredential } from './credential.ts';
import { FailedCredentials } from './failed-credentials.ts';
import type { VerifiedToken } from '../jwt/verify.ts';
import type { Cached, KeyCache } from './key-cache.ts';
import { principalOf, type Seed } from './principal-of.ts';
import { type Principal, unlimited } from './principal.ts';

export interface AuthenticatorOptions {
  readonly pool: pg.Pool;
  readonly reachability: Pick<Reachability, 'require'>;
  readonly cache: KeyCache;
  readonly masterKey: string;
  /** A further header to read the key from. */
  readonly keyHeader: string | undefined;
  /** Of JWTs; absent while they are off. */
  readonly tokens?: TokenVerification | undefined;
  readonly now: () => Date;
  /** Where a request came from; empty for the admin socket. */
  readonly addressOf: (request: IncomingMessage) => string;
  /** Where any key is accepted from, and the master key; everywhere when absent. */
  readonly allowedIps?: Networks | undefined;
  readonly masterKeyAllowedIps?: Networks | undefined;
  /** Money an entity had spent when its row was read: the counters begin with it. */
  readonly seed: Seed;
}

/** What is built like a JWT goes there, and nowhere else. */
export interface TokenVerification {
  readonly looksLikeToken: (secret: string) => boolean;
  /** One that was verified a moment ago. */
  readonly recall: (token: string) => VerifiedToken | undefined;
  readonly verify: (token: string) => Promise<VerifiedToken>;
}

/** Look-ups under way at most. What comes beyond them would only wait for its own deadline. */
const LOOKUPS_AT_MOST = 200;

/** All that a look-up may take. PostgreSQL answers one in less than a millisecond; a client should be told soon. */
const LOOKUP_MS = 1_800;

const master: Principal = Object.freeze({
  ...unlimited,
  kind: 'master',
  keyId: 'master',
  hash: 'master',
  alias: null,
  userId: null,
  teamId: null,
  organizationId: null,
  role: 'proxy_admin',
  teamAlias: null,
});

/** Finds out who is calling. The steps are those of `authenticate`, in order. */
export class Authenticator {
  readonly #options: AuthenticatorOptions;
  readonly #comparisonKey = randomBytes(32);
  readonly #masterMac: Buffer;
  /** Look-ups under way: a thousand requests with one unseen key ask the database once. */
  readonly #loading = new Map<string, Promise<Cached>>();
  readonly #failed = new FailedCredentials();

  constructor(options: AuthenticatorOptions) {
    this.#options = options;
    this.#masterMac = this.#mac(options.masterKey);
  }

  /**
   * @param mayBeStale whether, while the database is away, a key may be known from before: for calls, never for changes
   * @throws GatewayError 401 when the credential is known to be bad, 503 when we cannot know
   */
  async authenticate(request: IncomingMessage, { mayBeStale }: { mayBeStale: boolean }): Promise<Principal> {
    const { allowedIps } = this.#options;
    const address = () => this.#options.addressOf(request);
    if (allowedIps) requireWithin(allowedIps, address());
    const secret = readCredential(request, this.#options.keyHeader);
    if (this.#isMaster(secret)) return this.#master(address);
    const { tokens } = this.#options;
    if (tokens && !secret.startsWith('sk-') && tokens.looksLikeToken(secret)) {
      return principalOfToken(tokens.recall(secret) ?? (await this.#verify(tokens, secret, request)));
    }
    if (!secret.startsWith('sk-')) throw notAKey(secret);
    const hash = hashSecret(secret);
    // Before any look-up: a key of ours with a wrong checksum was mistyped or made up.
    if (isMalformed(secret)) throw unknownKey(secret, hash);
    const { cache } = this.#options;
    const cached =
      (await cache.read(hash)) ??
      (await this.#lookUp(hash, request).catch((thrown: unknown) => {
        const aside = mayBeStale && isAway(thrown) ? cache.readAside(hash) : undefined;
        if (!aside) throw thrown;
        return aside;
      }));
    if (cached === 'unknown') throw unknownKey(secret, hash);
    requireUsable({ principal: cached.principal, now: this.#options.now(), address }, secret);
    return cached.principal;
  }

  #master(address: () => string): Principal {
    const { masterKeyAllowedIps } = this.#options;
    if (masterKeyAllowedIps) requireWithin(masterKeyAllowedIps, address());
    return master;
  }

  /** MACs under a key of this process are compared, so that neither length nor beginning of the master key leaks. */
  #isMaster(secret: string): boolean {
    // Only keys of the master's length are worth the 9 µs of a MAC, and the length is no secret: it is in the manual.
    return secret.length === this.#options.masterKey.length && timingSafeEqual(this.#mac(secret), this.#masterMac);
  }

  #mac(secret: string): Buffer {
    return createHmac('sha256', this.#comparisonKey).update(secret).digest();
  }

  /** A signature costs more than a look-up, so tokens that are no good count as wrong keys do. */
  async #verify(tokens: TokenVerification, token: string, request: IncomingMessage): Promise<VerifiedToken> {
    const client = clientNetwork(this.#options.addressOf(request));
    this.#failed.requireRoom(client);
    return tokens.verify(token).catch((thrown: unknown) => {
      if (thrown instanceof GatewayError && thrown.kind === 'unauthenticated') this.#failed.count(client);
      throw thrown;
    });
  }

  async #lookUp(hash: string, request: IncomingMessage): Promise<Cached> {
    const under = this.#loading.get(hash);
    if (under) return under;
    const client = clientNetwork(this.#options.addressOf(request));
    this.#failed.requireRoom(client);
    if (this.#loading.size >= LOOKUPS_AT_MOST) throw tooBusy();
    const loading = this.#load(hash).finally(() => this.#loading.delete(hash));
    this.#loading.set(hash, loading);
    const found = await loading;
    if (found === 'unknown') this.#failed.count(client);
    return found;
  }

  async #load(hash: string): Promise<Cached> {
    const { cache, seed } = this.#options;
    const { fence } = cache;
    const shared = await cache.readShared(hash);
    if (shared) {
      const cached = { principal: Object.freeze(shared.principal) };
      await cache.store(hash, cached, { fence });
      return cached;
    }
    const row = await this.#ask(hash);
    const found: Cached = row ? { principal: principalOf(row, seed) } : 'unknown';
    cache.answered(hash, found);
    const snapshot = row && found !== 'unknown' ? { snapshot: { ...found, readAt: row.read_at } } : {};
    await cache.store(hash, found, { fence, ...snapshot });
    return found;
  }

  /** The wait for a connection counts too: a database that stands still holds all of them. */
  async #ask(hash: string): Promise<KeyRow | undefined> {
    this.#options.reachability.require();
    const late = Promise.withResolvers<never>();
    const timer = setTimeout(() => late.reject(databaseAway(undefined)), LOOKUP_MS);
    try {
      return await Promise.race([findKeyRow(this.#options.pool, hash, LOOKUP_MS), late.promise]);
    } catch (thrown) {
      throw asDatabaseTrouble(thrown);
    } finally {
      clearTimeout(timer);
    }
  }
}

/** A token says who is calling, but not what that one may do here: whoever is not mapped may do nothing. */
function principalOfToken({ issuer }: VerifiedToken): never {
  throw new GatewayError(
    'forbidden',
    'auth_error',
    'Authentication Error, no mapping: the JWT is valid, but nothing in this gateway is mapped to it',
    { reason: `no mapping; issuer ${issuer.issuer}` },
  );
}

const isAway = (thrown: unknown): boolean => thrown instanceof GatewayError && thrown.type === 'database_unreachable';

/** As trouble of the database goes: whoever is cached from before may be served. */
const tooBusy = () =>
  new GatewayError('unavailable', 'database_unreachable', 'Too many keys are being looked up at this moment', {
    headers: { 'retry-after': '1' },
  });

function requireUsable(caller: Caller, secret: string): void {
  const denial = firstDenial(callerChecks, caller);
  if (!denial) return;
  throw new GatewayError(denial.kind, denial.type, denial.message(), {
    ...(denial.rule === 'key.expiry' && { param: maskSecret(secret) }),
  });
}

const denied = (type: string, message: string) =>
  new GatewayError('unauthenticated', type, `Authentication Error, ${message}`);

const notAKey = (secret: string) =>
  denied('auth_error', `LiteLLM Virtual Key expected. Received=${maskSecret(secret)}, expected to start with 'sk-'.`);

const unknownKey = (secret: string, hash: string) =>
  denied(
    'token_not_found_in_db',
    `Invalid proxy server token passed. Received API Key = ${maskSecret(secret)}, Key Hash (Token) =${hash}. ` +
      'Unable to find token in cache or `LiteLLM_VerificationTokenTable`',
  );
