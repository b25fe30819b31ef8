import type { LocalCommand } from './cli/local-command.ts';
import { kinds, sortings } from './live/live.wire.ts';
import type { Runtime } from './runtime.ts';

/** The commands that show what goes on in a daemon. */
export const liveCommands = (runtime: () => Runtime): readonly LocalCommand[] => [
  {
    path: ['top'],
    group: 'Daemon',
    summary: 'Show who calls now, and what it costs',
    description:
      'Calls by key, team, user or model, as the one daemon that is asked has seen them in the last minute. On a terminal it is drawn anew until q is pressed: b puts the calls together by something else, s or the left and right arrows sort by another column, the up and down arrows scroll, f freezes. Anywhere else it is printed once. HELD is what is reserved for the calls under way, P95 the time within which 95 of 100 answers began.',
    options: [
      { name: 'by', choices: kinds, description: 'What calls are put together by; key when absent' },
      { name: 'sort', choices: sortings, description: 'What rows are sorted by, the most first; requests when absent' },
      { name: 'limit', type: 'integer', description: 'Rows at most, up to 300; 100 when absent' },
      { name: 'window', type: 'duration', description: 'How far to look back, from 2s to 60s; 60s when absent' },
      { name: 'interval', type: 'duration', description: 'How often it is drawn; 2s when absent' },
      { name: 'once', type: 'boolean', description: 'Print it once, and end' },
    ],
    examples: [
      ['By key', 'gatewayctl top'],
      ['What the last ten seconds cost, by team', 'gatewayctl top --by team --sort cost --window 10s'],
      ['For a script', 'gatewayctl top --once --json'],
    ],
    exits: [[130, 'it was ended with Ctrl-C']],
    run: async (context) => (await import('./top.ts')).runTop(context, runtime()),
  },
  {
    path: ['tail'],
    group: 'Daemon',
    summary: 'Follow calls, refusals and errors as they happen',
    description:
      'A line for each call of the one daemon that is asked, once the call is over or was refused; nothing that was asked or answered is in it. It goes on until Ctrl-C, and through restarts of the daemon. What came too fast to be shown is counted.',
    options: [
      { name: 'key', placeholder: 'key', completes: 'key', description: 'Only calls with this key: alias, id or hash' },
      { name: 'team', placeholder: 'team', completes: 'team', description: 'Only calls of this team, by id or alias' },
      { name: 'user', placeholder: 'user', completes: 'user', description: 'Only calls of this user' },
      { name: 'model', placeholder: 'model', completes: 'model', description: 'Only calls that asked for this model' },
      {
        name: 'http-status',
        placeholder: 'status',
        description: 'Only calls with this HTTP status, such as 429 or 5xx',
      },
      { name: 'errors', type: 'boolean', description: 'Only calls that were not answered' },
    ],
    examples: [
      ['Why calls of a key are refused', 'gatewayctl tail --key ci-runner --errors'],
      ['For another program', 'gatewayctl tail --http-status 5xx -o json'],
    ],
    exits: [[130, 'it was ended with Ctrl-C']],
    run: async (context) => (await import('./tail.ts')).runTail(context, runtime()),
  },
];
