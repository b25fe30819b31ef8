import { z } from 'zod';
import { GatewayError } from '../kernel/errors.ts';
import { operation } from '../kernel/operation.ts';
import { answer, wire } from '../kernel/wire.ts';

/** What has come of a reload. */
export interface Reloaded {
  /** Deployments of the configuration and of the database. */
  readonly models: number;
  readonly needsRestart: string[];
}

interface Needs {
  authority: { readonly isAdmin: boolean };
  /** Absent beside no daemon. */
  reload: (() => Promise<Reloaded>) | undefined;
}

export const reloadDaemon = operation({
  command: ['daemon', 'reload'],
  route: ['POST', '/daemon/reload'],
  summary: 'Read the configuration file again',
  description:
    'The daemon that is asked takes on what can change at run time, and says what cannot. A configuration with anything ' +
    'wrong in it is refused whole, and the one in use stays. Calls under way go on.',
  access: 'admin',
  // Nothing of it is in the database, so there is nothing to rehearse or to take back.
  isRead: true,
  input: wire({}),
  output: answer({
    models: z.int().describe('Deployments there are now, of the configuration and of the database'),
    needsRestart: z.array(z.string()).describe('Settings that have changed and take effect with the next start'),
  }),
  cli: {
    examples: [['After the file was edited', 'gatewayctl daemon reload']],
    done: ({ needs_restart: names }) =>
      Array.isArray(names) && names.length > 0 ? `Reloaded. Restart the daemon for: ${names.join(', ')}` : 'Reloaded.',
  },
  run: async ({ authority, reload }: Needs) => {
    if (!authority.isAdmin) {
      throw new GatewayError('forbidden', 'admin_only', 'Only administrators may reload the configuration');
    }
    if (!reload) {
      throw new GatewayError('unavailable', 'no_daemon', 'Nobody to reload: this command is not talking to a daemon', {
        hint: 'Name one with --server, or its state directory with --state-dir.',
      });
    }
    return reload();
  },
});
