import { reachDaemon } from './cli/connect.ts';
import type { Connect, Connection } from './cli/connection.ts';
import type { Target } from './cli/target.ts';
import type { Services } from './app.ts';
import type { Runtime } from './runtime.ts';

/** Opens the way a command goes: a daemon, or the database itself. The ORM is loaded only where the database is opened. */
export function connectGateway(runtime: () => Runtime): Connect<Services> {
  return async (target, options) => {
    const { defaultStateDir } = await import('./config/state-dir.ts');
    const surroundings = runtime();
    const daemon = await reachDaemon(target, defaultStateDir(surroundings).path, options);
    if (daemon) return daemon;
    const { openDirect } = await import('./direct.ts');
    return openDirect(target as Exclude<Target, { mode: 'server' }>, surroundings, options);
  };
}

export type { Connection };
