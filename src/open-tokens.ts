import type pg from 'pg';
import type { TokenVerification } from './access/authenticate.ts';
import type { Seed } from './access/principal-of.ts';
import type { JwtSettings } from './config/jwt-settings.ts';
import type { Explainer } from './explain/explainer.ts';
import type { Provisioning } from './jwt/provisioning.ts';
import type { TokenTest } from './jwt/token-test.ts';
import { GatewayError } from './kernel/errors.ts';
import type { Log } from './kernel/log.ts';

export interface TokenParts {
  readonly pool: pg.Pool;
  readonly log: Log;
  readonly now: () => Date;
  readonly seed: Seed;
  readonly explainer: Pick<Explainer, 'explainFor'>;
  /** Makes what the settings want to be there for the bearer of a token. */
  readonly provision: (wanted: Provisioning) => Promise<void>;
}

export interface Tokens extends AsyncDisposable {
  readonly verification: TokenVerification;
  readonly test: Pick<TokenTest, 'test'>;
  /** Reads the keys of all issuers. */
  readonly warmUp: () => Promise<void>;
}

/** All that knows tokens. Loaded only where JWTs are on. */
export async function openTokens(settings: JwtSettings, parts: TokenParts): Promise<Tokens> {
  const [{ TokenVerifier }, { Bearers }, { TokenTest: Test, WouldMake }] = await Promise.all([
    import('./jwt/verify.ts'),
    import('./jwt/bearers.ts'),
    import('./jwt/token-test.ts'),
  ]);
  const { pool, log, now, seed, provision, explainer } = parts;
  const verifier = new TokenVerifier({ issuers: settings.issuers, now, log });
  const bearers = new Bearers({ pool, settings, seed, provision });
  const rehearsal = new Bearers({
    pool,
    settings,
    seed,
    provision: (wanted) => Promise.reject(new WouldMake(described(wanted))),
  });
  return {
    verification: {
      looksLikeToken: verifier.looksLikeToken,
      recall: (token) => verifier.recall(token),
      verify: (token) => verifier.verify(token),
      find: (token, deadlineMs) => bearers.find(token, deadlineMs),
    },
    test: new Test({ verifier, bearers: rehearsal, explainer }),
    warmUp: () => verifier.warmUp(),
    [Symbol.asyncDispose]: () => verifier[Symbol.asyncDispose](),
  };
}

const described = ({ newUser, newTeams = [], newRole, membership, newKey }: Provisioning): string =>
  [
    newUser && `user ${newUser.userId}`,
    newTeams.length > 0 && `team ${newTeams.join(', ')}`,
    newRole && `user ${newRole.userId} a ${newRole.role}`,
    membership && membership.join.length > 0 && `user ${membership.userId} a member of ${membership.join.join(', ')}`,
    membership && membership.leave.length > 0 && `user ${membership.userId} leave ${membership.leave.join(', ')}`,
    newKey && `a virtual key for ${newKey.value}`,
  ]
    .filter(Boolean)
    .join('; ');

/** Where JWTs are off there is nothing to test. */
export const noTokens: Pick<TokenTest, 'test'> = {
  test: () =>
    Promise.reject(
      new GatewayError('invalid', 'jwt_auth_off', 'JWT authentication is off', {
        hint: 'Set general_settings.enable_jwt_auth: true, and name an issuer in gatewayctl.jwt.issuers.',
      }),
    ),
};
