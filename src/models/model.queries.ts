import type pg from 'pg';
import { asDatabaseTrouble } from '../db/errors.ts';
import { SCHEMA } from '../db/schema.ts';
import type { Vault } from '../kernel/encryption.ts';
import { type Deployment, environmentName } from './deployment.ts';
import type { Model } from './model.entity.ts';
import { deploymentOf } from './model.wire.ts';

type Row = Pick<Model, 'id' | 'name' | 'params' | 'info'> & { api_key: string | null };

export interface LoadedModels {
  readonly deployments: readonly Deployment[];
  /** Deployments left out, and why: one key that does not open must not take the others away. */
  readonly problems: readonly string[];
}

/** All deployments of the database, their keys opened: what a daemon routes by. */
export async function loadDeployments(
  pool: pg.Pool,
  vault: Vault,
  env: Readonly<Record<string, string | undefined>>,
): Promise<LoadedModels> {
  const { rows } = await pool
    .query<Row>(`select id, name, params, info, api_key from ${SCHEMA}.models order by name, id`)
    .catch((thrown: unknown) => {
      throw asDatabaseTrouble(thrown);
    });
  const deployments: Deployment[] = [];
  const problems: string[] = [];
  for (const row of rows) {
    try {
      // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the columns a deployment is made of
      deployments.push(deploymentOf(row as unknown as Model, openKey(row, vault, env)));
    } catch (error) {
      problems.push(`model ${row.name} (${row.id}): ${error instanceof Error ? error.message : String(error)}`);
    }
  }
  return { deployments, problems };
}

function openKey(
  { id, api_key: kept }: Row,
  vault: Vault,
  env: Readonly<Record<string, string | undefined>>,
): string | undefined {
  if (kept === null) return undefined;
  const name = environmentName(kept);
  if (name === undefined) return vault.open(kept, { table: 'models', column: 'api_key', row: id });
  const value = env[name];
  if (!value) throw new Error(`the variable ${name} is not set in the daemon's environment`);
  return value;
}
