import { errors, type CryptoKey, type JWSHeaderParameters, type LocalJWKSet } from 'jose';
import { z } from 'zod';
import type { IssuerSettings, KeySource } from '../config/jwt-settings.ts';
import type { Allowed } from '../egress/guard.ts';
import { GatewayError } from '../kernel/errors.ts';
import { isKeyUrl } from '../kernel/key-url.ts';
import type { Log } from '../kernel/log.ts';
import { readKeySet } from './public-keys.ts';

/** What a reading may take, discovery included: callers wait for it. */
const READING_MS = 5_000;
/** How often a `kid` that nobody knows may make us ask again. */
const UNKNOWN_KID_MS = 30_000;
const BACK_OFF_MS = { first: 1_000, most: 60_000 } as const;
/** The part of their time after which fresh keys are renewed beside the requests, so that none waits for it. */
const RENEW_AFTER = 0.8;

export interface IssuerKeysOptions {
  readonly issuer: Pick<IssuerSettings, 'issuer' | 'algorithms' | 'keyTtlMs' | 'keyStaleTtlMs'>;
  readonly source: KeySource;
  readonly fetchJson: (url: string, allowed: Allowed, signal: AbortSignal) => Promise<unknown>;
  readonly log: Log;
  /** Milliseconds that only ever grow. */
  readonly clock?: () => number;
}

const Discovery = z.object({ issuer: z.string(), jwks_uri: z.string().refine(isKeyUrl) });

/**
 * The public keys of one issuer at one place. Keys are read again when their time is over, and when a token names one
 * that nobody knows, but for those at most once in 30 s. While the issuer does not answer, what was read last goes on.
 */
export class IssuerKeys {
  readonly #options: IssuerKeysOptions;
  readonly #clock: () => number;
  #keys: LocalJWKSet | undefined;
  #readAt = 0;
  #reading: Promise<void> | undefined;
  /** Readings that were begun. */
  #begun = 0;
  #failures = 0;
  #retryAt = 0;
  #unknownAt = Number.NEGATIVE_INFINITY;

  constructor(options: IssuerKeysOptions) {
    this.#options = options;
    this.#clock = options.clock ?? (() => performance.now());
  }

  /**
   * @returns undefined when the issuer has no such key, or more than one
   * @throws GatewayError 503 when its keys are not known, or were not to be read again for one that is not among them
   */
  async find(header: JWSHeaderParameters): Promise<CryptoKey | undefined> {
    const begunBefore = this.#begun;
    const keys = await this.#current();
    const known = await select(keys, header);
    if (known) return known;
    if (this.#reading) await this.#reading;
    else if (this.#begun === begunBefore && this.#mayAskForUnknown()) {
      this.#unknownAt = this.#clock();
      await this.renew();
    }
    const found = await select(this.#keys ?? keys, header);
    // The issuer may have that key by now: that it cannot be asked is nothing to hold against the caller.
    if (!found && this.#failures > 0) throw this.#unavailable();
    return found;
  }

  /** Reads the keys, whether or not they are fresh; one reading for all who ask. What fails is logged and tried again. */
  renew(): Promise<void> {
    if (this.#reading) return this.#reading;
    this.#begun++;
    this.#reading = this.#read()
      .then(
        (keys) => this.#succeeded(keys),
        (error: unknown) => this.#failed(error),
      )
      .finally(() => (this.#reading = undefined));
    return this.#reading;
  }

  async #current(): Promise<LocalJWKSet> {
    const { keyTtlMs, keyStaleTtlMs } = this.#options.issuer;
    const age = this.#clock() - this.#readAt;
    if (age > keyTtlMs + keyStaleTtlMs) this.#keys = undefined;
    const isDue = this.#clock() >= this.#retryAt;
    if (!this.#keys) {
      if (this.#reading ?? isDue) await this.renew();
      if (!this.#keys) throw this.#unavailable();
    } else if (age > keyTtlMs && this.#failures === 0) await this.renew();
    else if (age > keyTtlMs * RENEW_AFTER && isDue) void this.renew();
    return this.#keys;
  }

  #mayAskForUnknown(): boolean {
    const now = this.#clock();
    return now >= this.#retryAt && now - this.#unknownAt >= UNKNOWN_KID_MS;
  }

  async #read(): Promise<LocalJWKSet> {
    const { source, issuer, fetchJson } = this.#options;
    const signal = AbortSignal.timeout(READING_MS);
    const url = source.kind === 'jwks' ? source.url : await this.#discover(source.url, signal);
    // The operator says where an issuer is, and may mean a machine next door; a document may not.
    const allowed = new URL(url).hostname === new URL(source.url).hostname ? 'private' : 'public';
    return readKeySet(await fetchJson(url, allowed, signal), issuer.algorithms);
  }

  /** Every time anew: an issuer may move its keys. */
  async #discover(url: string, signal: AbortSignal): Promise<string> {
    const read = Discovery.safeParse(await this.#options.fetchJson(url, 'private', signal));
    if (!read.success) throw new Error('it names no https:// jwks_uri');
    const { issuer, jwks_uri: found } = read.data;
    if (issuer !== this.#options.issuer.issuer) throw new Error('it is the document of another issuer');
    // Whoever is asked over the network must not send us to what listens on this machine only.
    if (found.startsWith('http:') && !url.startsWith('http:')) throw new Error('its jwks_uri is not https://');
    return found;
  }

  #succeeded(keys: LocalJWKSet): void {
    if (this.#failures > 0) this.#options.log('info', 'The keys of an issuer can be read again', this.#about);
    this.#keys = keys;
    this.#readAt = this.#clock();
    this.#failures = 0;
    this.#retryAt = 0;
  }

  #failed(error: unknown): void {
    const wait = Math.min(BACK_OFF_MS.most, BACK_OFF_MS.first * 2 ** this.#failures);
    this.#retryAt = this.#clock() + wait;
    if (this.#failures++ === 0)
      this.#options.log('warn', 'The keys of an issuer cannot be read', { ...this.#about, error });
  }

  get #about() {
    return { issuer: this.#options.issuer.issuer, url: this.#options.source.url };
  }

  #unavailable(): GatewayError {
    const seconds = Math.max(1, Math.ceil((this.#retryAt - this.#clock()) / 1_000));
    return new GatewayError(
      'unavailable',
      'auth_provider_unavailable',
      'The keys of the identity provider cannot be read at this moment, so that the JWT could not be verified',
      { headers: { 'retry-after': String(seconds) } },
    );
  }
}

async function select(keys: LocalJWKSet, header: JWSHeaderParameters): Promise<CryptoKey | undefined> {
  try {
    return await keys(header);
  } catch (error) {
    if (error instanceof errors.JWKSNoMatchingKey || error instanceof errors.JWKSMultipleMatchingKeys) return undefined;
    throw error;
  }
}
