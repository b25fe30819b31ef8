import type pg from 'pg';
import { asDatabaseTrouble } from '../db/errors.ts';
import { SCHEMA } from '../db/schema.ts';
import type { SealedPlace, Vault } from '../kernel/encryption.ts';
import { namesOwnVariable } from '../kernel/own-variables.ts';
import { type Deployment, environmentName, secretParams } from './deployment.ts';
import type { Model } from './model.entity.ts';
import { deploymentOf } from './model.wire.ts';

interface Row extends Pick<Model, 'id' | 'name' | 'params' | 'info'> {
  readonly api_key: string | null;
  readonly team_id: string | null;
  readonly credential_name: string | null;
  readonly credential_id: string | null;
  readonly credential_values: Readonly<Record<string, { readonly sealed: string }>> | null;
}

export interface LoadedModels {
  readonly deployments: readonly Deployment[];
  /** Deployments left out, and why: one key that does not open must not take the others away. */
  readonly problems: readonly string[];
}

type Environment = Readonly<Record<string, string | undefined>>;

const statement = `
  select m.id, m.name, m.params, m.info, m.api_key, m.team_id, m.credential_name,
         c.id as credential_id, c.credential_values
  from ${SCHEMA}.models m left join ${SCHEMA}.credentials c on c.name = m.credential_name
  order by m.name, m.id`;

/** All deployments of the database, their keys opened: what a daemon routes by. */
export async function loadDeployments(pool: pg.Pool, vault: Vault, env: Environment): Promise<LoadedModels> {
  const { rows } = await pool.query<Row>(statement).catch((thrown: unknown) => {
    throw asDatabaseTrouble(thrown);
  });
  const open = (kept: string, place: SealedPlace): string => openKept(kept, place, { vault, env });
  const deployments: Deployment[] = [];
  const problems: string[] = [];
  for (const row of rows) {
    try {
      const model = { ...row, teamId: row.team_id, credentialName: row.credential_name };
      // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the columns a deployment is made of
      deployments.push(deploymentOf(model as unknown as Model, secretsOf(row, open)));
    } catch (error) {
      problems.push(`model ${row.name} (${row.id}): ${error instanceof Error ? error.message : String(error)}`);
    }
  }
  return { deployments, problems };
}

/** The model's own key comes before that of its credential, as its own address does. */
function secretsOf(row: Row, open: (kept: string, place: SealedPlace) => string) {
  const { credential_id: id, credential_values: values } = row;
  const ofCredential = (name: string): string | undefined => {
    const kept = values?.[name]?.sealed;
    return id === null || kept === undefined ? undefined : open(kept, credentialPlace(id, name));
  };
  const further = secretParams.flatMap((name) => {
    const value = ofCredential(name);
    return value === undefined ? [] : [[name, value]];
  });
  return {
    apiKey:
      row.api_key === null
        ? ofCredential('api_key')
        : open(row.api_key, { table: 'models', column: 'api_key', row: row.id }),
    apiBase: ofCredential('api_base'),
    ...(further.length > 0 && { further: Object.fromEntries(further) }),
  };
}

/** Where a value of a credential is sealed: an address pasted into the place of a key must not open. */
export const credentialPlace = (id: string, name: string): SealedPlace => ({
  table: 'credentials',
  column: `credential_values.${name}`,
  row: id,
});

/** A secret as it is kept, opened: @throws Error where its variable is not set */
export function openKept(kept: string, place: SealedPlace, { vault, env }: { vault: Vault; env: Environment }): string {
  const name = environmentName(kept);
  if (name === undefined) return vault.open(kept, place);
  // Refused when it is given; a row may be older than that.
  if (namesOwnVariable(kept)) throw new Error(`${kept} is a variable of the gateway's own`);
  const value = env[name];
  if (!value) throw new Error(`the variable ${name} is not set in the daemon's environment`);
  return value;
}
