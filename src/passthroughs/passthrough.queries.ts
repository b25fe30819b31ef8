import type pg from 'pg';
import { asDatabaseTrouble } from '../db/errors.ts';
import { SCHEMA } from '../db/schema.ts';
import type { SealedPlace, Vault } from '../kernel/encryption.ts';
import { type PassThroughEndpoint, withLangfuseAuth } from '../kernel/pass-through.ts';
import { credentialPlace, openKept } from '../models/model.queries.ts';

interface Row {
  readonly id: string;
  readonly path: string;
  readonly target: string;
  readonly headers: Readonly<Record<string, { readonly sealed: string }>>;
  readonly default_query_params: Readonly<Record<string, string>>;
  readonly forward_headers: boolean | readonly string[];
  readonly include_subpath: boolean;
  readonly methods: PassThroughEndpoint['methods'];
  readonly cost_per_request: number | null;
  readonly timeout: number | null;
  readonly allow_private_network: boolean;
}

type Environment = Readonly<Record<string, string | undefined>>;

export interface LoadedPassThroughs {
  readonly endpoints: readonly PassThroughEndpoint[];
  /** Endpoints left out, and why. */
  readonly problems: readonly string[];
}

/** All endpoints of the database, the values of their headers opened: what a daemon passes calls on by. */
export async function loadPassThroughs(pool: pg.Pool, vault: Vault, env: Environment): Promise<LoadedPassThroughs> {
  const statement = `select * from ${SCHEMA}.pass_through_endpoints order by path`;
  const { rows } = await pool.query<Row>(statement).catch((thrown: unknown) => {
    throw asDatabaseTrouble(thrown);
  });
  const endpoints: PassThroughEndpoint[] = [];
  const problems: string[] = [];
  for (const row of rows) {
    try {
      endpoints.push(endpointOf(row, { vault, env }));
    } catch (error) {
      problems.push(`pass-through ${row.path}: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
  return { endpoints, problems };
}

function endpointOf(row: Row, opening: { readonly vault: Vault; readonly env: Environment }): PassThroughEndpoint {
  const headers = Object.entries(row.headers).map(
    ([name, { sealed }]) => [name, openKept(sealed, headerPlace(row.id, name), opening)] as const,
  );
  return {
    id: row.id,
    path: row.path,
    target: row.target,
    headers: withLangfuseAuth(Object.fromEntries(headers)),
    forwardHeaders: row.forward_headers,
    includeSubpath: row.include_subpath,
    methods: row.methods,
    costPerRequest: row.cost_per_request,
    defaultQueryParams: row.default_query_params,
    timeout: row.timeout,
    allowPrivateNetwork: row.allow_private_network,
  };
}

/** A credential of the database that calls to a provider's prefix are made with. */
export interface ProviderCredential {
  readonly provider: string;
  readonly apiKey: string | undefined;
  readonly apiBase: string | undefined;
  readonly allowPrivateNetwork: boolean;
}

const credentialStatement = `
  select id, name, info ->> 'custom_llm_provider' as provider, credential_values as kept,
         info -> 'allow_private_network' = 'true' as private from ${SCHEMA}.credentials
  where info -> 'use_in_pass_through' = 'true' and info ->> 'custom_llm_provider' is not null order by name`;

interface CredentialRow {
  readonly id: string;
  readonly name: string;
  readonly provider: string;
  readonly private: boolean | null;
  readonly kept: Readonly<Record<string, { readonly sealed: string }>>;
}

/** LiteLLM's `use_in_pass_through`, of credentials: of several for one provider the first by name. */
export async function loadProviderCredentials(pool: pg.Pool, vault: Vault, env: Environment) {
  const { rows } = await pool.query<CredentialRow>(credentialStatement).catch((thrown: unknown) => {
    throw asDatabaseTrouble(thrown);
  });
  const credentials = new Map<string, ProviderCredential>();
  const problems: string[] = [];
  for (const { id, name, provider, kept, private: isPrivate } of rows) {
    if (credentials.has(provider)) continue;
    const open = (value: string) => {
      const sealed = kept[value]?.sealed;
      return sealed === undefined ? undefined : openKept(sealed, credentialPlace(id, value), { vault, env });
    };
    try {
      credentials.set(provider, {
        provider,
        apiKey: open('api_key'),
        apiBase: open('api_base'),
        allowPrivateNetwork: isPrivate === true,
      });
    } catch (error) {
      problems.push(`credential ${name}: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
  return { credentials, problems };
}

/** Where the value of a header is sealed: that of one must not open as that of another. */
export const headerPlace = (id: string, name: string): SealedPlace => ({
  table: 'pass_through_endpoints',
  column: `headers.${name}`,
  row: id,
});
