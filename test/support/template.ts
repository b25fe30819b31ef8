import { rm } from 'node:fs/promises';
import { openEmbedded, throwaway } from '../../src/db/embedded.ts';
import { templateVariable } from './cluster.ts';
import { aStateDir, gatewayctl } from './gateway.ts';

/** For a whole run (`--test-global-setup` of a single one): one initdb and one run of the migrations, instead of one for each file. */
export async function globalSetup(): Promise<void> {
  const stateDir = await aStateDir();
  await using server = await openEmbedded({ stateDir, settings: throwaway });
  const { exit, err } = await gatewayctl(['migrate', 'up', '--yes', '--database-url', server.url]);
  if (exit !== 0) throw new Error(`The template has no tables: ${err}`);
  process.env[templateVariable] = stateDir;
}

export async function globalTeardown(): Promise<void> {
  const stateDir = process.env[templateVariable];
  if (stateDir !== undefined) await rm(stateDir, { recursive: true, force: true });
}
