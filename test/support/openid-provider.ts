import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { exportJWK, generateKeyPair, type JWK } from 'jose';
import { Provider } from 'oidc-provider';

/** What tokens of the provider are for. */
export const audience = 'https://gateway.example';

export type SigningAlgorithm = 'RS256' | 'PS256' | 'ES256' | 'EdDSA';

/** A private key as a provider keeps it. */
export async function signingKey(alg: SigningAlgorithm, kid: string): Promise<JWK> {
  const { privateKey } = await generateKeyPair(alg, { extractable: true, modulusLength: 2048 });
  return { ...(await exportJWK(privateKey)), alg, kid, use: 'sig' };
}

export type OpenIdProvider = Awaited<ReturnType<typeof startOpenIdProvider>>;

/** An OpenID provider on loopback that gives its one client access tokens, as JWTs, for the gateway. */
export async function startOpenIdProvider({ alg = 'RS256' }: { alg?: SigningAlgorithm } = {}) {
  /** Paths that were asked for, with how often. */
  const requests = new Map<string, number>();
  let claims: Readonly<Record<string, unknown>> = {};
  let handle: ReturnType<Provider['callback']>;
  let server = await listen(0);
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- a server that listens on a port has an AddressInfo
  const { port } = server.address() as AddressInfo;
  const issuer = `http://127.0.0.1:${port}`;

  async function listen(at: number): Promise<Server> {
    const created = createServer((request, response) => {
      const path = request.url ?? '';
      requests.set(path, (requests.get(path) ?? 0) + 1);
      handle(request, response);
    });
    created.listen(at, '127.0.0.1');
    await once(created, 'listening');
    return created;
  }

  /** A provider is started with its keys, and started again with others. It signs with the first. */
  function use(keys: readonly JWK[]): void {
    handle = new Provider(issuer, {
      jwks: { keys },
      clients: [
        {
          client_id: 'pipeline',
          client_secret: 'a-secret-of-the-client',
          grant_types: ['client_credentials'],
          redirect_uris: [],
          response_types: [],
          token_endpoint_auth_method: 'client_secret_post',
          id_token_signed_response_alg: alg,
        },
      ],
      extraTokenClaims: () => claims,
      features: {
        devInteractions: { enabled: false },
        clientCredentials: { enabled: true },
        resourceIndicators: {
          enabled: true,
          getResourceServerInfo: (_: unknown, indicator: string) => ({
            audience: indicator,
            scope: 'call litellm_proxy_admin',
            accessTokenFormat: 'jwt',
            accessTokenTTL: 300,
            jwt: { sign: { alg } },
          }),
        },
      },
    }).callback();
  }

  async function stop(): Promise<void> {
    if (!server.listening) return;
    const closed = once(server, 'close');
    server.close();
    server.closeAllConnections();
    await closed;
  }

  const first = await signingKey(alg, 'first');
  use([first]);

  return {
    issuer,
    firstKey: first,
    use,
    stop,
    async start(): Promise<void> {
      server = await listen(port);
    },
    /** How often a path was asked for. */
    asked: (path: '/jwks' | '/.well-known/openid-configuration'): number => requests.get(path) ?? 0,
    /** An access token, by the grant of client credentials. */
    async token({ resource = audience, scope = 'call', with: more = {} }: TokenRequest = {}): Promise<string> {
      claims = more;
      const response = await fetch(`${issuer}/token`, {
        method: 'POST',
        body: new URLSearchParams({
          grant_type: 'client_credentials',
          client_id: 'pipeline',
          client_secret: 'a-secret-of-the-client',
          resource,
          scope,
        }),
      });
      // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- checked below
      const body = (await response.json()) as { access_token?: string };
      if (body.access_token === undefined) throw new Error(`No token: ${JSON.stringify(body)}`);
      return body.access_token;
    },
    [Symbol.asyncDispose]: stop,
  };
}

export interface TokenRequest {
  /** What the token is for. */
  readonly resource?: string;
  readonly scope?: string;
  /** Further claims. */
  readonly with?: Readonly<Record<string, unknown>>;
}
