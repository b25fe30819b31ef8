import type { MikroORM } from '@mikro-orm/postgresql';
import type pg from 'pg';
import { openGatewayOrm } from './gateway-orm.ts';
import type { Settings } from './config/load.ts';
import { prepareStateDir } from './config/state-dir.ts';
import { openEmbedded } from './db/embedded.ts';
import { asDatabaseRefusal } from './db/errors.ts';
import { type MigrationStatus, migrationStatus } from './db/migrate.ts';
import { poolOf } from './db/orm.ts';
import { Reachability } from './db/reachability.ts';

/** The gateway's database, wherever it is. */
export interface Database extends AsyncDisposable {
  readonly url: string;
  /** Whether it is the one in the state directory. */
  readonly isEmbedded: boolean;
  readonly orm: MikroORM;
  readonly pool: pg.Pool;
  /** Most connections of the pool. */
  readonly poolSize: number;
  readonly reachability: Reachability;
  status(): Promise<MigrationStatus>;
}

/** Opens the operator's PostgreSQL or, when none is named, joins or starts the one in the state directory. */
export async function openDatabase(
  { databaseUrl, stateDir, dbPoolSize }: Pick<Settings, 'databaseUrl' | 'stateDir' | 'dbPoolSize'>,
  applicationName: string,
): Promise<Database> {
  await using opened = new AsyncDisposableStack();
  let url = databaseUrl;
  if (url === undefined) {
    prepareStateDir(stateDir);
    const server = opened.use(await openEmbedded({ stateDir }));
    url = server.url;
  }
  const reachability = opened.use(new Reachability());
  const orm = await openGatewayOrm({ url, poolSize: dbPoolSize, applicationName, reachability }).catch(failed);
  opened.defer(() => orm.close());
  const pool = await poolOf(orm).catch(failed);
  await pool.query('select 1').catch(failed);
  reachability.watch(pool);
  const kept = opened.move();
  return {
    url,
    isEmbedded: databaseUrl === undefined,
    orm,
    pool,
    poolSize: dbPoolSize,
    reachability,
    status: () => migrationStatus(pool),
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}

function failed(thrown: unknown): never {
  throw asDatabaseRefusal(thrown);
}
