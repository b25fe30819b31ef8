import { reachDaemon } from './cli/connect.ts';
import type { Connect, Connection } from './cli/connection.ts';
import type { Target } from './cli/target.ts';
import type { Services } from './app.ts';
import { GatewayError } from './kernel/errors.ts';
import type { Runtime } from './runtime.ts';

/** Opens the way a command goes: a daemon, or the database itself. The ORM is loaded only where the database is opened. */
export function connectGateway(runtime: () => Runtime): Connect<Services> {
  return async (target, options) => {
    const surroundings = runtime();
    const stateDir = target.mode === 'server' ? '' : await defaultStateDir(surroundings);
    // A socket tells the daemon nothing of who opened it. The user's name is a claim, kept in the audit log as one.
    const as = options.as ?? (target.mode === 'local' ? surroundings.operator : undefined);
    const daemon = await reachDaemon(target, stateDir, { ...options, as });
    if (daemon) {
      if (target.mode === 'local' && target.configFile !== undefined) throw ownConfiguration(daemon.describe);
      return daemon;
    }
    if (options.needsDaemon) throw noDaemon(options.command);
    const { openDirect } = await import('./direct.ts');
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- a server that was named has been reached above
    return openDirect(target as Exclude<Target, { mode: 'server' }>, surroundings, options);
  };
}

/** Not left unread in silence: whoever names a file wants to see what is in it. */
const ownConfiguration = (daemon: string): GatewayError =>
  new GatewayError(
    'usage',
    'ambiguous_target',
    `--config is not for the ${daemon}, which has a configuration of its own`,
    {
      hint: 'Leave --config out, or say --direct.',
    },
  );

const noDaemon = (command = ''): GatewayError =>
  new GatewayError(
    'unavailable',
    'no_daemon',
    `gatewayctl ${command} needs a running daemon: what goes on is not in the database`,
    {
      hint: 'Name one with --server, or its state directory with --state-dir. Start one: gatewayctl serve',
    },
  );

async function defaultStateDir(surroundings: Runtime): Promise<string> {
  const { defaultStateDir: find } = await import('./config/state-dir.ts');
  return find(surroundings).path;
}

export type { Connection };
