import { standingsOf, type Principal } from '../access/principal.ts';
import type { Explainer, Question } from '../explain/explainer.ts';
import type { Step } from '../explain/trace.ts';
import { GatewayError } from '../kernel/errors.ts';
import type { Bearers } from './bearers.ts';
import type { TokenVerifier, VerifiedToken } from './verify.ts';

export interface TokenQuestion {
  readonly token: string;
  /** A call to ask about: none when absent. */
  readonly call: Omit<Question, 'token'> | undefined;
}

export interface TokenAnswer {
  readonly steps: readonly Step[];
  /** Undefined when the token stands for nobody. */
  readonly principal: Principal | undefined;
  /** The model that would be called. */
  readonly model: string | undefined;
}

export interface TokenTestOptions {
  readonly verifier: Pick<TokenVerifier, 'looksLikeToken' | 'verify'>;
  /** One that makes nobody: its provision throws `WouldMake`. */
  readonly bearers: Pick<Bearers, 'find'>;
  readonly explainer: Pick<Explainer, 'explainFor'>;
}

const LOOKUP_MS = 1_800;

/** Says how a token would be verified, whom it stands for, and how a call of theirs would be decided. Makes nothing. */
export class TokenTest {
  readonly #options: TokenTestOptions;

  constructor(options: TokenTestOptions) {
    this.#options = options;
  }

  async test({ token, call }: TokenQuestion): Promise<TokenAnswer> {
    const steps: Step[] = [];
    const nobody = { steps, principal: undefined, model: undefined };
    const verified = await this.#verify(token, steps);
    if (!verified) return nobody;
    const principal = await this.#find(verified, steps);
    if (!principal || !call) return { ...nobody, principal };
    const explained = await this.#options.explainer.explainFor(principal, call);
    return { steps: [...steps, ...explained.steps], principal: explained.principal, model: explained.model };
  }

  async #verify(token: string, steps: Step[]): Promise<VerifiedToken | undefined> {
    const { verifier } = this.#options;
    if (token.startsWith('sk-') || !verifier.looksLikeToken(token)) {
      steps.push({ check: 'token.format', outcome: 'deny', detail: 'it is no JWT' });
      return undefined;
    }
    try {
      const verified = await verifier.verify(token);
      steps.push(...passed(verified));
      return verified;
    } catch (thrown) {
      const error = GatewayError.from(thrown);
      if (error.kind !== 'unauthenticated' && error.kind !== 'unavailable') throw thrown;
      const outcome = error.kind === 'unavailable' ? 'unknown' : 'deny';
      steps.push({ check: 'token.verification', outcome, detail: error.reason ?? error.message, error });
      return undefined;
    }
  }

  async #find(verified: VerifiedToken, steps: Step[]): Promise<Principal | undefined> {
    try {
      const { principal } = await this.#options.bearers.find(verified, LOOKUP_MS);
      steps.push({ check: 'token.mapping', outcome: 'pass', detail: describe(principal) });
      return principal;
    } catch (thrown) {
      if (thrown instanceof WouldMake) {
        steps.push({
          check: 'token.mapping',
          outcome: 'unknown',
          detail: `its first call would make ${thrown.message}`,
        });
        return undefined;
      }
      const error = GatewayError.from(thrown);
      if (error.kind !== 'forbidden') throw thrown;
      steps.push({ check: 'token.mapping', outcome: 'deny', detail: error.reason ?? error.message, error });
      return undefined;
    }
  }
}

/** Instead of making somebody. */
export class WouldMake extends Error {}

const pass = (check: string, detail: string): Step => ({ check, outcome: 'pass', detail });

function passed({ issuer, claims, expiresAt }: VerifiedToken): Step[] {
  return [
    pass('token.issuer', issuer.issuer),
    pass('token.signature', `one of ${issuer.algorithms.join(', ')}`),
    pass('token.audience', [claims.aud].flat().join(', ')),
    pass('token.expiry', `accepted until ${new Date(expiresAt).toISOString()}`),
  ];
}

function describe(principal: Principal): string {
  const { kind, alias, keyId, role, token } = principal;
  if (kind === 'key') return `virtual key ${alias ?? keyId}`;
  if (token?.workload) return `role ${token.workload.name}: ${token.workload.operations.join(', ')}`;
  const teams = standingsOf(principal).flatMap(({ teamId }) => teamId ?? []);
  const { userId, organizationId } = principal;
  const parts = [
    userId === null ? [] : `user ${userId}`,
    teams.length === 0 ? [] : `team ${teams.join(', ')}`,
    organizationId === null ? [] : `organization ${organizationId}`,
  ].flat();
  return `${parts.join('; ') || 'nobody'}; ${role}`;
}
