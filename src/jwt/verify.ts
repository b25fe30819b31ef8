import { hash } from 'node:crypto';
import { errors, type JWTPayload, jwtVerify, type JWSHeaderParameters } from 'jose';
import { BoundedMap } from '../access/bounded-map.ts';
import type { Algorithm, IssuerSettings } from '../config/jwt-settings.ts';
import { GatewayError } from '../kernel/errors.ts';
import type { Log } from '../kernel/log.ts';
import { DocumentFetcher } from './fetch-document.ts';
import { IssuerKeys, type IssuerKeysOptions } from './issuer-keys.ts';
import { RefusalLog } from './refusal-log.ts';
import { type JsonObject, looksLikeToken, takeApart } from './token-parts.ts';

/** What a token says, once it is certain who said it. Immutable. */
export interface VerifiedToken {
  readonly issuer: IssuerSettings;
  readonly claims: Readonly<JWTPayload>;
  /** Milliseconds since 1970 up to which the token is accepted: its `exp` and the tolerance of the issuer. */
  readonly expiresAt: number;
}

export interface TokenVerifierOptions {
  readonly issuers: readonly IssuerSettings[];
  readonly now: () => Date;
  readonly log: Log;
}

/** Verified tokens are remembered: verifying one costs 180 to 300 µs, and a client sends the same token with each call. */
const REMEMBERED_MS = 60_000;
const REMEMBERED_AT_MOST = 10_000;

interface Issuer {
  readonly settings: IssuerSettings;
  /** Empty where there is a secret. */
  readonly keys: readonly IssuerKeys[];
  readonly secret: Uint8Array | undefined;
}

interface Remembered {
  readonly token: VerifiedToken;
  /** By the monotonic clock. */
  readonly untilMs: number;
}

/** Verifies JWTs of the issuers that are configured, and of nobody else. */
export class TokenVerifier implements AsyncDisposable {
  readonly #now: () => Date;
  readonly #fetcher = new DocumentFetcher();
  readonly #issuers: ReadonlyMap<string, Issuer>;
  readonly #remembered = new BoundedMap<Remembered>(REMEMBERED_AT_MOST);
  readonly #refusals: RefusalLog;

  constructor({ issuers, now, log }: TokenVerifierOptions) {
    this.#now = now;
    this.#refusals = new RefusalLog(log);
    const fetchJson: IssuerKeysOptions['fetchJson'] = (...asked) => this.#fetcher.json(...asked);
    this.#issuers = new Map(
      issuers.map((settings) => {
        const keys = settings.keySources.map((source) => new IssuerKeys({ issuer: settings, source, fetchJson, log }));
        const { sharedSecret } = settings;
        const secret = sharedSecret === undefined ? undefined : Buffer.from(sharedSecret);
        return [settings.issuer, { settings, keys, secret }];
      }),
    );
  }

  /** Reads the keys of all issuers, so that the first request need not wait, and who does not answer is in the log. */
  async warmUp(): Promise<void> {
    await Promise.all([...this.#issuers.values()].flatMap(({ keys }) => keys.map((each) => each.renew())));
  }

  readonly looksLikeToken = looksLikeToken;

  /** A token that was verified within the last minute and has not expired since. */
  recall(token: string): VerifiedToken | undefined {
    const found = this.#remembered.get(nameOf(token));
    if (!found || found.untilMs <= performance.now() || found.token.expiresAt <= this.#now().getTime())
      return undefined;
    return found.token;
  }

  /**
   * @throws GatewayError 401 when the token is no good; the client does not hear why, the log and `reason` say it.
   *   503 when the keys of its issuer cannot be read
   */
  async verify(token: string): Promise<VerifiedToken> {
    const recalled = this.recall(token);
    if (recalled) return recalled;
    const verified = await this.#verify(token).catch((thrown: unknown) => {
      if (thrown instanceof GatewayError && thrown.reason !== undefined) this.#refusals.add(thrown.reason);
      throw thrown;
    });
    this.#remembered.set(nameOf(token), { token: verified, untilMs: performance.now() + REMEMBERED_MS });
    return verified;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#fetcher[Symbol.asyncDispose]();
  }

  async #verify(token: string): Promise<VerifiedToken> {
    const parts = takeApart(token);
    if (typeof parts === 'string') throw refused(parts);
    const { header, payload } = parts;
    const issuer = typeof payload['iss'] === 'string' ? this.#issuers.get(payload['iss']) : undefined;
    if (!issuer) throw refused('its issuer is not configured');
    const { settings } = issuer;
    const fault = headerFault(header, settings);
    if (fault !== undefined) throw refused(fault, settings);
    const key = issuer.secret ?? (await findKey(issuer.keys, header));
    if (!key) throw refused('its kid names no key of its issuer', settings);
    const claims = await this.#check(token, key, settings);
    const claimFault = claimsFault(claims, settings, this.#now().getTime());
    if (claimFault !== undefined) throw refused(claimFault, settings);
    const expiresAt = Number(claims.exp) * 1_000 + settings.clockToleranceMs;
    return Object.freeze({ issuer: settings, claims: Object.freeze(claims), expiresAt });
  }

  async #check(token: string, key: Parameters<typeof jwtVerify>[1], settings: IssuerSettings): Promise<JWTPayload> {
    try {
      const { payload } = await jwtVerify(token, key, {
        algorithms: [...settings.algorithms],
        issuer: settings.issuer,
        audience: [...settings.audiences],
        clockTolerance: settings.clockToleranceMs / 1_000,
        requiredClaims: ['exp', 'iat'],
        currentDate: this.#now(),
      });
      return payload;
    } catch (error) {
      if (!(error instanceof errors.JOSEError)) throw error;
      throw refused(error.message, settings);
    }
  }
}

/** The whole token: two of one issuer begin with the same hundred characters. */
const nameOf = (token: string): string => hash('sha256', token, 'hex');

/** Names of a header by which a token would bring its own key, or say what it must be understood with. */
const refusedNames = ['jku', 'x5u', 'jwk', 'x5c', 'crit', 'b64', 'zip', 'enc'] as const;

function headerFault(header: JsonObject, { algorithms, tokenTypes }: IssuerSettings): string | undefined {
  const { alg, kid, typ = 'jwt' } = header;
  const name = refusedNames.find((each) => Object.hasOwn(header, each));
  if (name !== undefined) return `its header has ${name}`;
  if (!algorithms.some((allowed: Algorithm) => allowed === alg)) return 'its alg is not allowed';
  if (kid !== undefined && typeof kid !== 'string') return 'its kid is no text';
  if (typeof typ !== 'string' || !tokenTypes.includes(typ.toLowerCase().replace(/^application\//, ''))) {
    return 'its typ is not accepted';
  }
  return undefined;
}

/** Marks of tokens that say who signed in somewhere, or out, and not what may be asked of us. */
const foreignNames = ['nonce', 'at_hash', 'c_hash', 's_hash', 'events'] as const;
/** What Keycloak calls them, in a claim. */
const foreignTypes: ReadonlySet<unknown> = new Set(['ID', 'Refresh', 'Offline', 'Logout']);

/** What jose leaves to others. That `iat` and `exp` are numbers, it has seen to. */
function claimsFault(claims: JWTPayload, settings: IssuerSettings, now: number): string | undefined {
  const { iat, exp } = claims;
  if (iat === undefined || exp === undefined) return 'it has no exp or no iat';
  if (iat * 1_000 > now + settings.clockToleranceMs) return 'its iat is in the future';
  if ((exp - iat) * 1_000 > settings.maxLifetimeMs) return 'it lives longer than its issuer may let it';
  // Keycloak's access tokens say what they are, and have the nonce of the sign-in.
  const isAccess = claims['typ'] === 'Bearer';
  const name = foreignNames.find((each) => Object.hasOwn(claims, each) && !(isAccess && each === 'nonce'));
  if (name !== undefined) return `it is an ID token or a logout token: it has ${name}`;
  return foreignTypes.has(claims['typ']) ? 'its claim typ is that of another kind of token' : undefined;
}

/** Every place of the issuer's keys is asked: one that cannot be read hides no key of another. */
async function findKey(places: readonly IssuerKeys[], header: JWSHeaderParameters) {
  let away: GatewayError | undefined;
  for (const place of places) {
    try {
      const key = await place.find(header);
      if (key) return key;
    } catch (thrown) {
      away = GatewayError.from(thrown);
    }
  }
  if (away) throw away;
  return undefined;
}

/** LiteLLM's words. Which check failed would tell whoever forges tokens how far they have come. */
const refused = (why: string, settings?: IssuerSettings): GatewayError =>
  new GatewayError('unauthenticated', 'auth_error', 'Authentication Error, Invalid JWT Submitted', {
    reason: settings ? `${why}; issuer ${settings.issuer}` : why,
  });
