import { type EntityClass, type EntitySchema, MikroORM } from '@mikro-orm/postgresql';
import type pg from 'pg';
import type { Reachability } from './reachability.ts';
import { SCHEMA } from './schema.ts';

export interface DatabaseOptions {
  readonly url: string;
  readonly entities: (EntityClass | EntitySchema)[];
  /** Connections at most; operations, key look-ups and the ledger share them. */
  readonly poolSize: number;
  /** Shown in pg_stat_activity. */
  readonly applicationName: string;
  /** Of a daemon, which has to know when it is away. */
  readonly reachability?: Reachability | undefined;
}

/**
 * Opens the database. Every wait has an end: a stopped PostgreSQL left pg's pool at its defaults hanging for ever, and
 * fails with these within a second to connect and two to answer.
 */
export async function openOrm(options: DatabaseOptions): Promise<MikroORM> {
  const { url, entities, poolSize, applicationName, reachability } = options;
  return MikroORM.init({
    entities,
    schema: SCHEMA,
    dbName: databaseName(url),
    pool: { min: 0, max: poolSize },
    driverOptions: {
      connectionString: url,
      application_name: applicationName,
      connectionTimeoutMillis: 1_000,
      query_timeout: 10_000,
      keepAlive: true,
      ...reachability?.clients,
      // MikroORM does not read it from the URL, and PGSSLMODE would then speak TLS to the embedded server's socket.
      ...(/[?&]sslmode=disable(&|$)/.test(url) && { ssl: false }),
    },
    discovery: { warnWhenNoEntities: false },
    // Whoever runs an operation forks; one identity map for two requests would leak rows between them.
    allowGlobalContext: false,
    forceUtcTimezone: true,
    logger: () => {},
  });
}

function databaseName(url: string): string {
  const path = new URL(url.replace(/^(postgres(?:ql)?):\/\/([^@/]*@)?\//, '$1://$2localhost/')).pathname;
  return decodeURIComponent(path.slice(1)) || 'postgres';
}

/** The pool beneath the ORM: the hot path and the ledger speak SQL on the same connections. */
export async function poolOf(orm: MikroORM): Promise<pg.Pool> {
  return orm.em.getConnection().getNativeClient();
}
